/**
 * Where an ingest half takes the questions of relays downstream: to the control plane, which knows the projects, one
 * message there and one back.
 *
 * Limits: {@link QUESTIONS_MAX} questions wait, each for {@link WAIT_MS}.
 */
import type { Clock, Timer } from "../core/clock.ts";
import type { RelayAnswer, RelayQuestion } from "../protocol/relay_question.ts";
import { RequestError } from "../protocol/request_error.ts";

const QUESTIONS_MAX = 100;
const WAIT_MS = 35_000;

/** Half to control plane. */
export interface RelayQuestionMessage {
  readonly type: "relay";
  readonly id: number;
  readonly question: RelayQuestion;
}

/** Control plane to half. */
export interface RelayAnswerMessage {
  readonly type: "relay";
  readonly id: number;
  readonly answer: RelayAnswer;
}

interface Waiting {
  readonly answered: PromiseWithResolvers<RelayAnswer>;
  readonly timer: Timer;
}

/** Questions of one half that are not answered yet. */
export class RelayDesk {
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  constructor(
    private readonly clock: Clock,
    private readonly post: (message: RelayQuestionMessage) => void,
  ) {}

  /** @throws {RequestError} 503 when too many wait already, or the answer does not come */
  ask(question: RelayQuestion): Promise<RelayAnswer> {
    if (this.#waiting.size >= QUESTIONS_MAX) return Promise.reject(overloaded());
    const id = ++this.#lastId;
    const answered = Promise.withResolvers<RelayAnswer>();
    const timer = this.clock.after(WAIT_MS, () => this.#take(id)?.answered.reject(overloaded()));
    this.#waiting.set(id, { answered, timer });
    // The body stands in memory that is used again once the request is answered; the message is a copy.
    this.post({ type: "relay", id, question: { ...question, body: question.body.slice() } });
    return answered.promise;
  }

  /** The control plane answered. */
  answered({ id, answer }: RelayAnswerMessage): void {
    this.#take(id)?.answered.resolve(answer);
  }

  /** Gives up what waits. */
  close(): void {
    for (const id of [...this.#waiting.keys()]) this.#take(id)?.answered.reject(overloaded());
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.timer.cancel();
    return waiting;
  }
}

function overloaded(): RequestError {
  return RequestError.json(503, "queue_failed", "internal system is overloaded");
}
