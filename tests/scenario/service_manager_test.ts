/** What a service manager hears from a node: the datagrams of `sd_notify`, on a real socket. */
import { assertEquals } from "@std/assert";
import { compiledNode } from "../support/compiled_node.ts";
import { NodeProcess } from "../support/node_process.ts";
import { report } from "../support/report.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

/** Socket of a manager; keeps the first line of each message. */
class Manager {
  readonly heard: string[] = [];
  readonly #socket: Deno.DatagramConn;
  readonly #reading: Promise<void>;

  constructor(readonly path: string) {
    this.#socket = Deno.listenDatagram({ transport: "unixpacket", path });
    this.#reading = this.#read();
  }

  async #read(): Promise<void> {
    for await (const [message] of this.#socket) {
      this.heard.push(new TextDecoder().decode(message).split("\n")[0]!);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.#reading;
  }
}

const executable = await compiledNode();
if (executable.kind === "unavailable") report(`The executable's messages are not tested: ${executable.why}`);
const WAYS = [["from source", undefined], [
  "executable",
  executable.kind === "built" ? executable.path : null,
]] as const;

for (const [way, path] of WAYS) {
  for (const kind of ["file", "abstract"] as const) {
    Deno.test({
      name: `${way}: a manager with a socket that is ${kind} hears when the node is ready, lives and stops`,
      // The executable may be made of a runtime that knows no abstract names.
      ignore: path === null || path !== undefined && kind === "abstract",
      async fn() {
        const folder = await Deno.makeTempDir({ prefix: "landfall-test-" });
        const name = `${folder}/notify`;
        {
          await using manager = new Manager(kind === "file" ? name : `\0${name}`);
          await using upstream = ScriptedUpstream.start();
          await using node = await NodeProcess.start({
            upstream: upstream.url,
            env: { NOTIFY_SOCKET: kind === "file" ? name : `@${name}`, WATCHDOG_USEC: "200000" },
            ...path && { executable: path },
          });
          await until(
            "three signs of life",
            () => manager.heard.filter((it) => it === "WATCHDOG=1").length >= 3,
          );
          assertEquals(await node.terminate(), 0);
          await until("the end is announced", () => manager.heard.includes("STOPPING=1"));
          assertEquals(manager.heard[0], "READY=1");
          assertEquals(manager.heard.filter((it) => it === "READY=1" || it === "STOPPING=1"), [
            "READY=1",
            "STOPPING=1",
          ]);
        }
        await Deno.remove(folder, { recursive: true });
      },
    });
  }
}

Deno.test("a manager that does not listen is named once, and the node runs on", async () => {
  await using upstream = ScriptedUpstream.start();
  const env = { NOTIFY_SOCKET: "/nowhere/notify", WATCHDOG_USEC: "50000" };
  await using node = await NodeProcess.start({ upstream: upstream.url, env });
  await until("the log names it", () => node.stderr.includes("service manager"));
  assertEquals(await node.terminate(), 0);
  assertEquals(node.stderr.split("service manager").length, 2);
});
