/** Tables of requests and answers, run against a listener over real sockets with either engine. */
import { assertEquals, assertMatch } from "@std/assert";
import {
  AUTH,
  EXPOSURES,
  type FixtureOptions,
  type ListenerFixture,
  startListener,
} from "./listener_fixture.ts";
import { RawHttp, type RawResponse, requestBytes } from "./raw_http.ts";

/** One request and its answer. */
export interface ConformanceRow {
  /** Section of the ingestion reference. */
  readonly section: string;
  readonly name: string;
  /** POST unless given. */
  readonly method?: string;
  /** {@link ENVELOPE_PATH} unless given. */
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** {@link EVENT} unless given. */
  readonly body?: string | Uint8Array;
  readonly status: number;
  /** Exact body, or a pattern. */
  readonly answer?: string | RegExp;
  /** Expected headers; null for absent. */
  readonly answerHeaders?: Readonly<Record<string, string | null>>;
}

export const ENVELOPE_PATH = `/api/42/envelope/?${AUTH}`;
export const ID = "9ec79c33ec9942ab8353589fcb2e04dc";
/** An envelope with an event. */
export const EVENT = `{"event_id":"${ID}"}\n{"type":"event","length":2}\n{}\n`;

/** Body of an error answer. */
export const detail = (text: string, ...causes: string[]) =>
  JSON.stringify(causes.length > 0 ? { detail: text, causes } : { detail: text });

/** What ingestion routes add to their answers: section 5.4. */
export const CORS_HEADERS = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers": "x-sentry-error,x-sentry-rate-limits,retry-after",
  "vary": "origin, access-control-request-method, access-control-request-headers",
};
/** How answers out of reach of the CORS layer look. */
export const NO_CORS = { "access-control-allow-origin": null, "access-control-expose-headers": null };

/** Fails unless the answer is the row's. */
export function checkRow(row: ConformanceRow, response: RawResponse | null): void {
  assertEquals(response?.status, row.status, `status, body ${response?.body}`);
  if (typeof row.answer === "string") assertEquals(response!.body, row.answer);
  else if (row.answer) assertMatch(response!.body, row.answer);
  for (const [name, value] of Object.entries(row.answerHeaders ?? {})) {
    // Some versions of the runtime add their own entry to Vary.
    const actual = response!.headers.get(name)?.replace(/^accept-encoding, /i, "") ?? null;
    assertEquals(actual, value, name);
  }
}

/** Sends the row's request over a connection of its own. */
export async function sendRow(
  fixture: ListenerFixture,
  row: ConformanceRow,
): Promise<RawResponse | null> {
  const bytes = requestBytes(
    row.method ?? "POST",
    row.path ?? ENVELOPE_PATH,
    row.headers ?? {},
    row.body ?? EVENT,
  );
  using connection = await RawHttp.connect(fixture.port);
  await connection.send(bytes).catch(() => {});
  return await connection.response({ isHead: row.method === "HEAD" });
}

/** Makes one test per table and exposure. */
export function testTables(
  tables: Readonly<Record<string, readonly ConformanceRow[]>>,
  prepare: (fixture: ListenerFixture) => void = () => {},
  options: Omit<FixtureOptions, "exposure"> = {},
): void {
  for (const exposure of EXPOSURES) {
    for (const [table, rows] of Object.entries(tables)) {
      Deno.test(`${exposure}: answers of the table ${table} are those of the reference`, async (test) => {
        await using fixture = await startListener({ ...options, exposure });
        prepare(fixture);
        for (const row of rows) {
          await test.step(`section ${row.section}: ${row.name}`, async () =>
            checkRow(row, await sendRow(fixture, row)));
        }
        assertEquals(fixture.bodies.held, 0);
      });
    }
  }
}
