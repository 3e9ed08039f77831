/** A node of two lanes whose certificate is renewed under load, as the command line runs it. */
import { assert, assertEquals } from "@std/assert";
import { NODE_ENGINE_IS_COMPLETE } from "../../src/listener/node_engine.ts";
import { EXPOSURES } from "../support/listener_fixture.ts";
import { freePorts, NodeProcess, TEST_KEY } from "../support/node_process.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { shownCertificate, TestAuthority } from "../support/tls_files.ts";
import { until } from "../support/until.ts";

const CLIENTS = 6;

for (const exposure of EXPOSURES) {
  const ignore = !NODE_ENGINE_IS_COMPLETE;
  Deno.test(
    `${exposure}: a certificate renewed under load, over two lanes, drops nothing`,
    { ignore },
    async () => {
      await using upstream = ScriptedUpstream.start();
      const folder = await Deno.makeTempDir({ prefix: "landfall-test-tls-" });
      try {
        const authority = await TestAuthority.create(folder);
        const before = await authority.issue("before", "before", ["localhost"]);
        const after = await authority.issue("after", "after", ["localhost"]);
        const write = async ({ certificate, key }: typeof before): Promise<void> => {
          // The key first: until the certificate follows, the two do not fit, and a node goes on with the old ones.
          await Deno.writeTextFile(`${folder}/node.key`, key);
          await Deno.writeTextFile(`${folder}/node.pem`, certificate);
        };
        await write(before);
        const [tlsPort] = freePorts(1);
        await using _node = await NodeProcess.start({
          upstream: upstream.url,
          config: {
            lanes: 2,
            relay: {
              tls_port: tlsPort,
              tls_cert_path: `${folder}/node.pem`,
              tls_key_path: `${folder}/node.key`,
            },
            listener: { exposure, idle_timeout: "1s" },
          },
        });
        const acknowledged: string[] = [];
        let isOver = false;
        const load = Array.from(
          { length: CLIENTS },
          () => post(authority.root, tlsPort!, acknowledged, () => isOver),
        );
        const enough = (count: number) => until(`${count} are answered`, () => acknowledged.length >= count);
        await enough(50);
        assertEquals(await shownCertificate(tlsPort!, "localhost"), "before");
        await write(after);
        await until("all connections are shown the new one", async () => {
          const shown = Array.from({ length: 8 }, () => shownCertificate(tlsPort!, "localhost"));
          return (await Promise.all(shown)).every((name) => name === "after");
        });
        await enough(acknowledged.length + 50);
        isOver = true;
        await Promise.all(load);
        assert(new Set(acknowledged).size === acknowledged.length);
        await until("everything arrives", () => acknowledged.every((id) => upstream.accepted(id)));
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  );
}

/** One client: posts until it is over, on connections that are renewed now and then. Every request must be answered. */
async function post(
  root: string,
  port: number,
  acknowledged: string[],
  isOver: () => boolean,
): Promise<void> {
  while (!isOver()) {
    using client = Deno.createHttpClient({ caCerts: [root] });
    for (let i = 0; i < 10 && !isOver(); i++) {
      const id = crypto.randomUUID().replaceAll("-", "");
      const answer = await fetch(`https://localhost:${port}/api/1/envelope/?sentry_key=${TEST_KEY}`, {
        method: "POST",
        body: `{"event_id":"${id}"}\n{"type":"event"}\n{}\n`,
        client,
      });
      assertEquals([answer.status, await answer.text()], [200, `{"id":"${id}"}`]);
      acknowledged.push(id);
    }
  }
}
