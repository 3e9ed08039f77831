/** Forms that are too large to be held: the rules of projects hold for them as for others, and as early as they can. */
import { assertEquals } from "@std/assert";
import { concatBytes, utf8 } from "../../src/core/bytes.ts";
import { type LargePost, LargeReport, postLarge } from "../support/large_post.ts";
import { type NodeFixture, startNode } from "../support/node_fixture.ts";
import { TEST_KEY } from "../support/node_process.ts";
import { ScriptedUpstream } from "../support/scripted_upstream.ts";
import { until } from "../support/until.ts";

const MIB = 1024 * 1024;
const ID = "9ec79c33ec9942ab8353589fcb2e04dc";

const project = (config: object): string =>
  JSON.stringify({ organizationId: 7, publicKeys: [{ publicKey: TEST_KEY, numericId: 1 }], config });

const start = (upstream: ScriptedUpstream, files: Readonly<Record<string, string>>) =>
  startNode({
    upstream: upstream.url,
    config: { "relay.mode": "static", "outcomes.report_interval": 0.05 },
    files,
  });

/** A form with two files and a field. */
function attachments(fileBytes: number, path = `/api/1/events/${ID}/attachments/`): LargePost {
  const file = (name: string): Uint8Array =>
    concatBytes([
      utf8(`--b\r\nContent-Disposition: form-data; name="${name}"; filename="${name}.bin"\r\n\r\n`),
      new Uint8Array(fileBytes),
      utf8("\r\n"),
    ]);
  const field = utf8('--b\r\nContent-Disposition: form-data; name="f"\r\n\r\n1\r\n--b--\r\n');
  const body = concatBytes([file("a"), file("b"), field]);
  return {
    path: `${path}?sentry_key=${TEST_KEY}`,
    headers: { "content-type": "multipart/form-data; boundary=b" },
    bytes: body.length,
    pieces: () => [body],
  };
}

/** Types of the items of all envelopes that reached the upstream, apart from client reports, and what these say. */
function seen(upstream: ScriptedUpstream): { types: string[]; dropped: Record<string, number> } {
  const types: string[] = [];
  const dropped: Record<string, number> = {};
  for (const { headers, payload } of upstream.requests.flatMap(({ items }) => items)) {
    if (headers.type !== "client_report") {
      types.push(`${headers.attachment_type ?? headers.type} ${payload.length}`);
      continue;
    }
    const { rate_limited_events: entries = [] } = JSON.parse(new TextDecoder().decode(payload));
    for (const { category, quantity } of entries as { category: string; quantity: number }[]) {
      dropped[category] = (dropped[category] ?? 0) + quantity;
    }
  }
  return { types, dropped };
}

const portOf = (node: NodeFixture): number => Number(new URL(node.url).port);

const isEmpty = async (node: NodeFixture): Promise<boolean> => {
  try {
    return (await Array.fromAsync(Deno.readDir(`${node.folder}/spool/p0/large`))).length === 0;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true;
    throw error;
  }
};

Deno.test("large forms: what is limited is taken out, counted and told as of small ones", async () => {
  const files = {
    "projects/1.json": project({ quotas: [{ categories: ["attachment"], limit: 0, reasonCode: "off" }] }),
  };
  for (const fileBytes of [1000, MIB]) {
    await using upstream = ScriptedUpstream.start();
    await using node = await start(upstream, files);
    assertEquals(await postLarge(portOf(node), attachments(fileBytes)), 429);
    await upstream.until(() =>
      (seen(upstream).dropped.attachment ?? 0) > 0 && seen(upstream).types.length > 0
    );
    assertEquals(seen(upstream), {
      types: ["form_data 10"],
      dropped: { attachment: 2 * fileBytes, attachment_item: 2 },
    });
    await until("nothing is left", () => isEmpty(node));
  }
});

Deno.test("large forms: too many files are refused as of small ones", async () => {
  for (const fileBytes of [10, MIB]) {
    await using upstream = ScriptedUpstream.start();
    await using node = await startNode({
      upstream: upstream.url,
      config: { "limits.max_attachment_count": 1 },
    });
    assertEquals(await postLarge(portOf(node), attachments(fileBytes)), 413);
    assertEquals(
      upstream.requests.filter(({ items }) => items.some(({ headers }) => headers.type !== "client_report")),
      [],
    );
    await until("nothing is left", () => isEmpty(node));
  }
});

Deno.test("large forms: a project that is not known is told while the form is still being sent", async () => {
  await using upstream = ScriptedUpstream.start();
  await using node = await start(upstream, {});
  assertEquals(await postLarge(portOf(node), new LargeReport(1, 8 * MIB), { stopAfter: 2 * MIB }), 403);
  await until("nothing is left", () => isEmpty(node));
});
