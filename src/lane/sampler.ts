/** From counters that only grow to what happened in the last second. */
import { upstreamState } from "../admin/node_status.ts";
import { METRICS } from "../telemetry/catalogue.ts";
import { type HistorySample, quantile } from "../telemetry/history.ts";
import type { MetricsReader } from "../telemetry/registry.ts";

const MS_PER_SECOND = 1000;

/** Takes samples of a node's counters. */
export class Sampler {
  #last: Readonly<Record<"requests" | "refused" | "accepted" | "delivered" | "failed", number>>;
  #answers: readonly number[];

  constructor(private readonly reader: MetricsReader) {
    this.#last = this.#counters();
    this.#answers = this.#answerCounts();
  }

  /** What happened since the last call, `seconds` ago. */
  take(seconds: number): HistorySample {
    const { reader } = this;
    const now = this.#counters();
    const answers = this.#answerCounts();
    const between = answers.map((count, bucket) => count - this.#answers[bucket]!);
    const rate = (name: keyof typeof now): number => Math.max(0, now[name] - this.#last[name]) / seconds;
    const time = (q: number): number => quantile(q, METRICS.answerTime.buckets!, between) * MS_PER_SECOND;
    const sample: HistorySample = {
      requests: rate("requests"),
      refused: rate("refused"),
      accepted: rate("accepted"),
      delivered: rate("delivered"),
      failed: rate("failed"),
      answerP50: time(0.5),
      answerP99: time(0.99),
      waiting: reader.read(METRICS.spoolWaiting),
      spoolBytes: reader.read(METRICS.spoolBytes),
      trouble: upstreamState(reader) === "up" ? 0 : 1,
    };
    this.#last = now;
    this.#answers = answers;
    return sample;
  }

  #counters() {
    const { reader } = this;
    let [requests, refused] = [0, 0];
    for (const { labels, values } of reader.series(METRICS.requests)) {
      requests += values[0]!;
      if (Number(labels.status) >= 400) refused += values[0]!;
    }
    const delivered = reader.read(METRICS.forwarded, "delivered");
    const failed = reader.total(METRICS.forwarded) - delivered;
    return { requests, refused, accepted: reader.read(METRICS.envelopesAccepted), delivered, failed };
  }

  #answerCounts(): readonly number[] {
    const [series] = this.reader.series(METRICS.answerTime);
    return series!.values.slice(0, -1);
  }
}
