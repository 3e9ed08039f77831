/**
 * Metrics in the words of a Relay's statsd output (control reference, section 13), for dashboards that exist.
 *
 * Only what the node has an equal of. Counters are what was added since the last push. Times are kept in buckets, so each
 * bucket is told as one value, the middle of the bucket, with a sample rate that says how many it stands for.
 */
import { METRICS } from "./catalogue.ts";
import type { MetricSpec, MetricsReader, Series } from "./registry.ts";

const MS_PER_SECOND = 1000;

/** A metric of a Relay, and what it is here. */
interface StatsdMetric {
  readonly name: string;
  readonly kind: "counter" | "gauge" | "timer";
  readonly spec: MetricSpec;
  /** Tags of a series; null leaves it out. */
  readonly tags?: (labels: Readonly<Record<string, string>>) => Readonly<Record<string, string>> | null;
}

const SEND_RESULTS: Readonly<Record<string, string>> = {
  delivered: "success",
  rate_limited: "rate_limited",
  rejected: "response_error",
  server_error: "response_error",
  network_error: "send_failed",
};

/** The metrics that are pushed. */
export const STATSD_METRICS: readonly StatsdMetric[] = [
  { name: "event.accepted", kind: "counter", spec: METRICS.envelopesAccepted },
  {
    name: "requests",
    kind: "counter",
    spec: METRICS.requests,
    tags: ({ route, status }) => ({ route: route!, status_code: status! }),
  },
  {
    name: "responses.status_codes",
    kind: "counter",
    spec: METRICS.requests,
    tags: ({ status }) => ({ status_code: status! }),
  },
  { name: "requests.duration", kind: "timer", spec: METRICS.answerTime },
  {
    name: "events.outcomes",
    kind: "counter",
    spec: METRICS.outcomes,
    tags: ({ outcome, reason }) => outcome === "accepted" ? null : { outcome: outcome!, reason: reason! },
  },
  {
    name: "events.outcome_quantity",
    kind: "counter",
    spec: METRICS.outcomes,
    tags: ({ outcome, category }) => ({ outcome: outcome!, category: category! }),
  },
  { name: "event.total_time", kind: "timer", spec: METRICS.forwardAge },
  { name: "event.wait_time", kind: "timer", spec: METRICS.spoolWait },
  {
    name: "upstream.requests.duration",
    kind: "timer",
    spec: METRICS.forwardTime,
    tags: () => ({ route: "envelope" }),
  },
  {
    name: "upstream.requests",
    kind: "counter",
    spec: METRICS.forwarded,
    tags: ({ result }) => ({ result: SEND_RESULTS[result!] ?? "send_failed", route: "envelope" }),
  },
  { name: "upstream.network_outage", kind: "gauge", spec: METRICS.upstreamOutage },
  { name: "buffer.spooled_envelopes", kind: "counter", spec: METRICS.spoolAppended },
  { name: "buffer.unspooled_envelopes", kind: "counter", spec: METRICS.spoolSettled },
  { name: "buffer.disk_used", kind: "gauge", spec: METRICS.spoolBytes },
  { name: "buffer.stack_count", kind: "gauge", spec: METRICS.spoolWaiting },
  { name: "buffer.spool.duration", kind: "timer", spec: METRICS.spoolCommitTime },
  {
    name: "project_state.request",
    kind: "counter",
    spec: METRICS.projectFetches,
  },
  {
    name: "project_cache.eviction",
    kind: "counter",
    spec: METRICS.projectsEvicted,
  },
  { name: "health.system_memory.used", kind: "gauge", spec: METRICS.memoryBytes },
  { name: "health.system_memory.total", kind: "gauge", spec: METRICS.memoryBytesMax },
];

/** Makes lines of what happened between two calls. */
export class StatsdLines {
  readonly #last = new Map<string, readonly number[]>();

  constructor(private readonly reader: MetricsReader) {
    // What happened before is nobody's news.
    for (const _ of this.take("", "")) continue;
  }

  /**
   * Lines without line ends.
   *
   * @param prefix with its dot, or empty
   * @param tags further ones, as `name:value,name:value`, or empty
   */
  *take(prefix: string, tags: string): Generator<string> {
    const before = new Map(this.#last);
    for (const metric of STATSD_METRICS) {
      const sums = new Map<string, number[]>();
      for (const series of this.reader.series(metric.spec)) {
        const own = metric.tags ? metric.tags(series.labels) : {};
        if (own === null) continue;
        const id = `|#${
          [...Object.entries(own).map(([k, v]) => `${k}:${v}`), ...tags ? [tags] : []].join(",")
        }`;
        sums.set(
          id,
          this.#changed(metric, series, before).map((value, i) => value + (sums.get(id)?.[i] ?? 0)),
        );
      }
      for (const [id, values] of sums) {
        yield* lines(metric, `${prefix}${metric.name}`, values, id === "|#" ? "" : id);
      }
    }
  }

  #changed(
    { kind, name, spec }: StatsdMetric,
    { labels, values }: Series,
    before: ReadonlyMap<string, readonly number[]>,
  ): readonly number[] {
    if (kind === "gauge") return values;
    const id = `${name} ${spec.name} ${JSON.stringify(labels)}`;
    const last = before.get(id);
    this.#last.set(id, values);
    return last ? values.map((value, index) => Math.max(0, value - last[index]!)) : values;
  }
}

function* lines(
  { kind, spec }: StatsdMetric,
  name: string,
  values: readonly number[],
  tags: string,
): Generator<string> {
  if (kind === "gauge") yield `${name}:${values[0]}|g${tags}`;
  else if (kind === "counter") {
    if (values[0]! > 0) yield `${name}:${values[0]}|c${tags}`;
  } else {
    const bounds = spec.buckets!;
    for (let bucket = 0; bucket <= bounds.length; bucket++) {
      const count = values[bucket]!;
      if (count === 0) continue;
      const low = bucket === 0 ? 0 : bounds[bucket - 1]!;
      const seconds = bucket === bounds.length ? low : (low + bounds[bucket]!) / 2;
      const rate = count === 1 ? "" : `|@${Number((1 / count).toPrecision(6))}`;
      yield `${name}:${Number((seconds * MS_PER_SECOND).toPrecision(6))}|ms${rate}${tags}`;
    }
  }
}

/** Lines put together into datagrams of at most `bytesMax` bytes; a longer line has one of its own. */
export function* datagrams(lines: Iterable<string>, bytesMax: number): Generator<Uint8Array> {
  const encoder = new TextEncoder();
  let text = "";
  for (const line of lines) {
    if (text !== "" && text.length + 1 + line.length > bytesMax) {
      yield encoder.encode(text);
      text = "";
    }
    text += text === "" ? line : `\n${line}`;
  }
  if (text !== "") yield encoder.encode(text);
}
