/** Two nodes behind Debian's HAProxy and nginx, with the README's configurations, restarted one after the other under load. */
import { assert, assertEquals } from "@std/assert";
import { freePorts, NodeProcess } from "../support/node_process.ts";
import { postEvent } from "../support/post_event.ts";
import { readReadme } from "../support/readme_tables.ts";
import { report } from "../support/report.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

const readme = await readReadme();
const BALANCERS = [
  { name: "haproxy", args: (file: string) => ["-db", "-q", "-f", file], wrap: (text: string) => text },
  {
    name: "nginx",
    args: (file: string) => ["-c", file],
    wrap: (text: string, folder: string) =>
      `daemon off; pid ${folder}/pid; error_log /dev/null; events {}\nhttp { access_log off;\n${
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((it) => `${it}_temp_path ${folder}/${it};`)
          .join("\n")
      }\n${text}}\n`,
  },
] as const;
const CLIENTS = 4;

for (const { name, args, wrap } of BALANCERS) {
  const program = `/usr/sbin/${name}`;
  const ignore = !await Deno.stat(program).then(() => true, () => false);
  if (ignore) report(`Nodes behind ${name} are not tested: there is no ${program}`);
  for (const exposure of ["load_balancer", "internet"] as const) {
    Deno.test(
      `${name}, ${exposure}: both nodes restart under load and no request fails`,
      { ignore },
      async () => {
        await using upstream = ScriptedUpstream.start();
        const options = { upstream: upstream.url, config: { listener: { exposure, drain_delay: "2s" } } };
        await using a = await NodeProcess.start(options);
        await using b = await NodeProcess.start(options);
        const [port] = freePorts(1);
        const folder = await Deno.makeTempDir({ prefix: "landfall-test-" });
        const block = new RegExp("```" + name + "\\n([\\s\\S]*?)```").exec(readme)![1]!
          .replace("10.0.0.1:3000", `127.0.0.1:${a.port}`)
          .replace("10.0.0.2:3000", `127.0.0.1:${b.port}`)
          .replace(/bind :80|listen 80/, (it) => it.replace(/:?80/, `127.0.0.1:${port}`));
        await Deno.writeTextFile(`${folder}/conf`, wrap(block, folder));
        const balancer = new Deno.Command(program, {
          args: args(`${folder}/conf`),
          stdin: "null",
          stdout: "null",
          stderr: "null",
        }).spawn();
        try {
          const url = `http://127.0.0.1:${port}`;
          await until("the balancer answers", async () => await statusOf(url) === 200);
          const stop = new AbortController();
          const results: (number | string)[] = [];
          const load = Promise.all(Array.from({ length: CLIENTS }, async () => {
            while (!stop.signal.aborted) results.push(await statusOf(url));
          }));
          for (const node of [a, b]) {
            assertEquals(await node.terminate(), 0);
            await node.startAgain();
            // The other one goes only once this one takes part again.
            const taken = () => accepted(node);
            await until("the node is given traffic again", async () => await taken() > 0);
          }
          stop.abort();
          await load;
          assertEquals(results.filter((result) => result !== 200), []);
          assert(results.length > 100, `${results.length} requests`);
        } finally {
          balancer.kill("SIGTERM");
          await balancer.status;
          await Deno.remove(folder, { recursive: true });
        }
      },
    );
  }
}

async function statusOf(url: string): Promise<number | string> {
  return await postEvent(url).then(({ status }) => status, (error) => String(error));
}

async function accepted(node: NodeProcess): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${node.adminPort}/metrics`)).text();
  return Number(/^landfall_envelopes_accepted_total (\d+)/m.exec(text)?.[1] ?? 0);
}
