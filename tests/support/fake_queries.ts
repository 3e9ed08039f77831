import { type QueryAnswer, QueryError, type QueryName } from "../../src/upstream/query_client.ts";

/** A question that was asked. */
export interface AskedQuery {
  readonly query: QueryName;
  readonly body: Readonly<Record<string, unknown>>;
  /** Answers it. */
  answer(value: unknown, upstreamTimeMs?: number): void;
  /** Ends it without an answer. */
  fail(error: QueryError): void;
}

/** Questions to an upstream that a test answers by hand. */
export class FakeQueries {
  readonly asked: AskedQuery[] = [];

  ask(query: QueryName, body: object, signal?: AbortSignal): Promise<QueryAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<QueryAnswer>();
    signal?.addEventListener("abort", () => reject(new QueryError("aborted", "given up")));
    this.asked.push({
      query,
      body: body as Record<string, unknown>,
      answer: (value, upstreamTimeMs) => resolve({ value, upstreamTimeMs: upstreamTimeMs ?? null }),
      fail: reject,
    });
    return promise;
  }

  /** The last question. */
  get last(): AskedQuery {
    return this.asked.at(-1)!;
  }
}
