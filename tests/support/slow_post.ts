import { assert } from "@std/assert";
import { type NodeProcess, TEST_KEY } from "./node_process.ts";
import { RawHttp, type RawResponse } from "./raw_http.ts";
import { until } from "./until.ts";

/** A request whose body comes in two parts. */
export class SlowPost implements Disposable {
  readonly eventId: string = crypto.randomUUID().replaceAll("-", "");

  private constructor(private readonly http: RawHttp) {}

  /** Sends the first part and waits until the listener has it. */
  static async begin(node: NodeProcess): Promise<SlowPost> {
    const post = new SlowPost(await RawHttp.connect(node.port));
    const [first, second] = post.#parts();
    const head = `POST /api/1/envelope/?sentry_key=${TEST_KEY} HTTP/1.1\r\nHost: 127.0.0.1\r\n` +
      `Content-Length: ${first.length + second.length}\r\n\r\n`;
    await post.http.send(head + first);
    // Readiness is asked over another connection, so its answer shows that the listener is past accepting this one.
    await until("the listener took the connection", async () => await node.readiness() === 200);
    return post;
  }

  /** Sends the rest. @returns the answer */
  async finish(): Promise<RawResponse> {
    await this.http.send(this.#parts()[1]);
    const answer = await this.http.response();
    assert(answer, "the connection ended without an answer");
    return answer;
  }

  [Symbol.dispose](): void {
    this.http[Symbol.dispose]();
  }

  #parts(): [string, string] {
    return [`{"event_id":"${this.eventId}"}\n{"type":"event"}\n`, '{"message":"slow"}\n'];
  }
}
