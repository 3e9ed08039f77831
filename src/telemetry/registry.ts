/**
 * Metric values in shared memory.
 *
 * Why: both halves of every lane count, the control plane reports, and a worker that dies must not take its counts
 * along. So a half owns one `SharedArrayBuffer` of doubles, laid out from the catalogue alone, and writes it without
 * locks (one writer per buffer; aligned doubles do not tear). The control plane sums the buffers when somebody asks.
 *
 * Limits: every label has a fixed list of values, so the memory and the number of series are known at start. A value
 * that is not on the list is counted under the list's last value, which is therefore always a catch-all.
 *
 * A label with an empty list has values that only a running node knows, e.g. the endpoints of its upstreams. Such a metric
 * takes no memory here; whoever owns the values hands in a collector, and bounds them ({@link MetricsReader.collect}).
 *
 * Layout: metrics in catalogue order; within a metric the label combinations in row-major order; a histogram cell is
 * its bucket counts followed by the sum.
 */

/** Kind-independent description of a metric. */
export interface MetricSpec {
  readonly kind: "counter" | "gauge" | "histogram";
  /** Full Prometheus name, base units. */
  readonly name: string;
  readonly help: string;
  /** Label name to its values; the last value catches what is not listed. */
  readonly labels: Readonly<Record<string, readonly string[]>>;
  /** Upper bounds of a histogram's buckets, ascending, without +Inf. */
  readonly buckets?: readonly number[];
}

/** One series of a snapshot, summed over all buffers. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** One number, or for histograms the bucket counts (not cumulative, last is +Inf) followed by the sum. */
  readonly values: readonly number[];
}

interface Placement {
  readonly start: number;
  readonly width: number;
  readonly series: number;
  readonly indexes: readonly ReadonlyMap<string, number>[];
  readonly sizes: readonly number[];
}

/** Memory layout of a catalogue; the same in every isolate because it depends on the catalogue alone. */
export class MetricLayout {
  readonly cells: number;
  readonly #placements = new Map<MetricSpec, Placement>();

  constructor(readonly specs: readonly MetricSpec[]) {
    let next = 0;
    for (const spec of specs) {
      const values = Object.values(spec.labels);
      const width = spec.kind === "histogram" ? (spec.buckets?.length ?? 0) + 2 : 1;
      const series = values.reduce((product, list) => product * list.length, 1);
      const indexes = values.map((list) => new Map(list.map((value, index) => [value, index])));
      this.#placements.set(spec, { start: next, width, series, indexes, sizes: values.map((v) => v.length) });
      next += width * series;
    }
    this.cells = next;
  }

  /** A zeroed buffer of the right size. */
  createBuffer(): SharedArrayBuffer {
    return new SharedArrayBuffer(this.cells * Float64Array.BYTES_PER_ELEMENT);
  }

  placement(spec: MetricSpec): Placement {
    const placement = this.#placements.get(spec);
    if (!placement) throw new Error(`Metric ${spec.name} is not in this layout`);
    return placement;
  }

  /** First cell of the series with these label values, in the order of `spec.labels`. */
  cell(spec: MetricSpec, values: readonly string[]): number {
    const { start, width, indexes, sizes } = this.placement(spec);
    let index = 0;
    for (let i = 0; i < sizes.length; i++) {
      const size = sizes[i]!;
      index = index * size + (indexes[i]!.get(values[i] ?? "") ?? size - 1);
    }
    return start + index * width;
  }
}

/** Writer of one buffer. */
export class Metrics {
  readonly #cells: Float64Array;

  constructor(readonly layout: MetricLayout, readonly buffer: SharedArrayBuffer = layout.createBuffer()) {
    this.#cells = new Float64Array(buffer);
  }

  /** Adds to a counter, or to a gauge that is kept by differences. */
  add(spec: MetricSpec, amount = 1, ...labels: string[]): void {
    const cell = this.layout.cell(spec, labels);
    this.#cells[cell] = this.#cells[cell]! + amount;
  }

  /** Sets a gauge. */
  set(spec: MetricSpec, value: number, ...labels: string[]): void {
    this.#cells[this.layout.cell(spec, labels)] = value;
  }

  /** Records one observation of a histogram. */
  observe(spec: MetricSpec, value: number, ...labels: string[]): void {
    const buckets = spec.buckets!;
    const cell = this.layout.cell(spec, labels);
    let bucket = 0;
    while (bucket < buckets.length && value > buckets[bucket]!) bucket++;
    this.#cells[cell + bucket] = this.#cells[cell + bucket]! + 1;
    const sum = cell + buckets.length + 1;
    this.#cells[sum] = this.#cells[sum]! + value;
  }

  /** Value of a counter or gauge in this buffer. */
  read(spec: MetricSpec, ...labels: string[]): number {
    return this.#cells[this.layout.cell(spec, labels)]!;
  }
}

/** Reader of all buffers of a node. */
export class MetricsReader {
  readonly #buffers = new Set<Float64Array>();

  readonly #collectors = new Map<MetricSpec, () => Iterable<Series>>();

  constructor(readonly layout: MetricLayout) {}

  /** Takes the series of a metric with open labels from `collector`. */
  collect(spec: MetricSpec, collector: () => Iterable<Series>): void {
    this.#collectors.set(spec, collector);
  }

  /** Includes a buffer in every later reading. */
  include(buffer: SharedArrayBuffer): void {
    this.#buffers.add(new Float64Array(buffer));
  }

  /** Sum of one series. */
  read(spec: MetricSpec, ...labels: string[]): number {
    return this.#sum(this.layout.cell(spec, labels));
  }

  /** Sum over all series of a counter whose labels match, e.g. `{ outcome: "accepted" }`. */
  total(spec: MetricSpec, match: Readonly<Record<string, string>> = {}): number {
    let total = 0;
    for (const { labels, values } of this.series(spec)) {
      if (Object.entries(match).every(([name, value]) => labels[name] === value)) total += values[0]!;
    }
    return total;
  }

  /** All series of a metric that have moved (or its only one). */
  *series(spec: MetricSpec): Generator<Series> {
    const collector = this.#collectors.get(spec);
    if (collector) return yield* collector();
    const { start, width, series, sizes } = this.layout.placement(spec);
    const names = Object.keys(spec.labels);
    const lists = Object.values(spec.labels);
    for (let index = 0; index < series; index++) {
      const values = Array.from({ length: width }, (_, i) => this.#sum(start + index * width + i));
      if (series > 1 && values.every((value) => value === 0)) continue;
      const labels: [string, string][] = [];
      for (let rest = index, i = sizes.length - 1; i >= 0; i--) {
        labels.unshift([names[i]!, lists[i]![rest % sizes[i]!]!]);
        rest = Math.floor(rest / sizes[i]!);
      }
      yield { labels: Object.fromEntries(labels), values };
    }
  }

  #sum(cell: number): number {
    let sum = 0;
    for (const buffer of this.#buffers) sum += buffer[cell]!;
    return sum;
  }
}
