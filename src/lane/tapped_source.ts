/** A lane's records on their way upstream, with a look for those who tap. */
import type { Clock } from "../core/clock.ts";
import type { TapEvent } from "../telemetry/tap_event.ts";
import type { ForwardResult } from "../upstream/classify.ts";
import type { ForwardJob, ForwardSource } from "../upstream/forwarder.ts";
import type { LaneTap } from "./lane_tap.ts";

type Ending = (TapEvent & { stage: "forwarded" })["outcome"];

/** {@link ForwardSource} that tells a tap when records are sent, and how that ended. */
export class TappedSource<Job extends ForwardJob> implements ForwardSource<Job> {
  readonly #startedMs = new WeakMap<Job, number>();

  constructor(
    private readonly inner: ForwardSource<Job>,
    private readonly tap: LaneTap,
    private readonly clock: Clock,
  ) {}

  next(): Promise<Job | null> | Job | null {
    const found = this.inner.next();
    if (!this.tap.isOn) return found;
    return found instanceof Promise ? found.then((job) => this.#started(job)) : this.#started(found);
  }

  wait(signal: AbortSignal): Promise<void> {
    return this.inner.wait(signal);
  }

  settle(job: Job, result: ForwardResult): void {
    if (this.tap.isOn) this.#ended(job, result.kind, result);
    this.inner.settle(job, result);
  }

  retryLater(job: Job, delayMs: number, result: ForwardResult): void {
    if (this.tap.isOn) this.#ended(job, result.kind, result, true);
    this.inner.retryLater(job, delayMs, result);
  }

  postpone(job: Job, upstream: string): void {
    this.inner.postpone(job, upstream);
  }

  resume(upstream: string): boolean {
    return this.inner.resume(upstream);
  }

  lost(job: Job): void {
    if (this.tap.isOn) this.#ended(job, "lost", null);
    this.inner.lost(job);
  }

  deadLetter(job: Job, result: ForwardResult): Promise<void> | void {
    if (this.tap.isOn) this.#ended(job, result.kind, result);
    return this.inner.deadLetter(job, result);
  }

  #started(job: Job | null): Job | null {
    if (job === null) return null;
    this.#startedMs.set(job, this.clock.monotonic());
    const waitedMs = Math.max(0, this.clock.monotonic() - job.receivedMs);
    this.tap.offer({ stage: "forwarding", ...this.#about(job), waitedMs, attempt: job.attempts + 1 });
    return job;
  }

  #ended(job: Job, outcome: Ending, result: ForwardResult | null, isRetried = false): void {
    const nowMs = this.clock.monotonic();
    this.tap.offer({
      stage: "forwarded",
      ...this.#about(job),
      outcome,
      status: result && "status" in result ? result.status : null,
      message: result && "message" in result ? result.message : null,
      tookMs: nowMs - (this.#startedMs.get(job) ?? nowMs),
      isRetried,
    });
  }

  #about({ meta: { projectId, key, eventId } }: Job) {
    return { lane: this.tap.lane, atMs: this.clock.now(), project: projectId, key, event: eventId };
  }
}
