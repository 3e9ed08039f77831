/**
 * Reads a Prometheus text exposition (format 0.0.4) and says what is wrong with it, as `promtool check metrics` does:
 * syntax, HELP and TYPE, names and units, labels and their escaping, duplicates, consistency of histograms.
 */

/** A sample of an exposition. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A metric family. */
export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/y;
const NUMBER = /^[+-]?(\d+(\.\d+)?([eE][+-]?\d+)?|Inf|NaN)$/;
/** Units that are not base units, and words that belong into a label. */
const BAD_UNITS = /_(ms|milliseconds|minutes|hours|days|kib|mib|gib|kilobytes|megabytes|percent|bits)(_|$)/;
const HISTOGRAM_PARTS = ["_bucket", "_sum", "_count"];

/** The families of an exposition, in order. @throws {Error} on the first line that is none */
export function parseExposition(text: string): Family[] {
  if (!text.endsWith("\n")) throw new Error("the last line does not end");
  const families = new Map<string, { name: string; type: string; help: string; samples: Sample[] }>();
  let current = "";
  for (const line of text.slice(0, -1).split("\n")) {
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (comment) {
      const [, kind, name, rest] = comment as unknown as [string, string, string, string];
      if (kind === "HELP" && families.has(name)) throw new Error(`two families are called ${name}`);
      const family = families.get(name) ?? { name, type: "", help: "", samples: [] };
      if (kind === "HELP") family.help = rest;
      else family.type = rest;
      families.set(current = name, family);
      continue;
    }
    const sample = sampleOf(line);
    const family = families.get(current);
    const suffix = sample.name.slice(current.length);
    const belongs = sample.name.startsWith(current) &&
      (suffix === "" || family?.type === "histogram" && HISTOGRAM_PARTS.includes(suffix));
    if (!family || !belongs) throw new Error(`stands in no family: ${line}`);
    family.samples.push(sample);
  }
  return [...families.values()];
}

function sampleOf(line: string): Sample {
  const match = SAMPLE.exec(line);
  if (!match || !NUMBER.test(match[3]!)) throw new Error(`no sample: ${line}`);
  const labels: Record<string, string> = {};
  const list = match[2] ?? "";
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < list.length) {
    const label = LABEL.exec(list);
    if (!label) throw new Error(`labels that cannot be read: ${line}`);
    if (label[1]! in labels) throw new Error(`a label twice: ${line}`);
    labels[label[1]!] = label[2]!.replace(/\\(.)/g, (_, c) => c === "n" ? "\n" : c);
  }
  return { name: match[1]!, labels, value: Number(match[3]!.replace("Inf", "Infinity")) };
}

/** What is wrong with it, one sentence each. */
export function lintExposition(text: string): string[] {
  return parseExposition(text).flatMap((family) => [...lintFamily(family)]);
}

function* lintFamily({ name, type, help, samples }: Family): Generator<string> {
  if (!NAME.test(name)) yield `${name}: not a name`;
  if (help === "") yield `${name}: no HELP`;
  if (!["counter", "gauge", "histogram"].includes(type)) yield `${name}: TYPE ${type}`;
  if ((type === "counter") !== name.endsWith("_total")) yield `${name}: _total is the end of counters' names`;
  if (BAD_UNITS.test(name)) yield `${name}: not a base unit`;
  if (/_(bucket|sum|count|info_total)$/.test(name)) yield `${name}: a reserved ending`;
  if (type === "histogram" && !name.endsWith("_seconds")) yield `${name}: a histogram without unit`;
  const seen = new Set<string>();
  for (const sample of samples) {
    const id = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).sort())}`;
    if (seen.has(id)) yield `${id}: twice`;
    seen.add(id);
    if (type !== "gauge" && !(sample.value >= 0)) yield `${id}: ${sample.value} in a ${type}`;
    const reserved = Object.keys(sample.labels).find((label) =>
      label.startsWith("__") || label === "quantile" || label === "le" && type !== "histogram"
    );
    if (reserved) yield `${id}: the label ${reserved}`;
  }
  if (type === "histogram") yield* lintHistogram(name, samples);
}

function* lintHistogram(name: string, samples: readonly Sample[]): Generator<string> {
  const withoutLe = ({ labels: { le: _, ...labels } }: Sample): string => JSON.stringify(labels);
  for (const [labels, group] of Map.groupBy(samples, withoutLe)) {
    const buckets = group.filter((sample) => sample.name === `${name}_bucket`);
    const bounds = buckets.map(({ labels }) => Number(labels.le!.replace("+Inf", "Infinity")));
    const counts = buckets.map(({ value }) => value);
    const valueOf = (part: string) => group.find((sample) => sample.name === `${name}_${part}`)?.value;
    const rises = (list: number[], or: (a: number, b: number) => boolean): boolean =>
      list.every((value, index) => index === 0 || or(list[index - 1]!, value));
    if (!rises(bounds, (a, b) => a < b)) yield `${name}${labels}: bounds do not rise`;
    if (!rises(counts, (a, b) => a <= b)) yield `${name}${labels}: buckets are not cumulative`;
    if (bounds.at(-1) !== Infinity) yield `${name}${labels}: no bucket +Inf`;
    if (counts.at(-1) !== valueOf("count")) yield `${name}${labels}: _count is not the last bucket`;
    if (valueOf("sum") === undefined) yield `${name}${labels}: no _sum`;
  }
}
