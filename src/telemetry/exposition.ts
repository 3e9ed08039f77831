/** Prometheus text exposition of all metrics, format version 0.0.4. */
import type { MetricSpec, MetricsReader, Series } from "./registry.ts";

/** Content type of {@link renderExposition}. */
export const EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** The exposition of everything the reader's layout holds. */
export function renderExposition(reader: MetricsReader): string {
  let text = "";
  for (const spec of reader.layout.specs) {
    text += `# HELP ${spec.name} ${escaped(spec.help)}\n# TYPE ${spec.name} ${spec.kind}\n`;
    for (const series of reader.series(spec)) {
      text += spec.kind === "histogram"
        ? renderHistogram(spec, series)
        : `${spec.name}${renderLabels(series.labels)} ${series.values[0]}\n`;
    }
  }
  return text;
}

function renderHistogram(spec: MetricSpec, { labels, values }: Series): string {
  const bounds = [...spec.buckets!.map(String), "+Inf"];
  let text = "";
  let count = 0;
  for (const [i, le] of bounds.entries()) {
    count += values[i]!;
    text += `${spec.name}_bucket${renderLabels({ ...labels, le })} ${count}\n`;
  }
  text += `${spec.name}_sum${renderLabels(labels)} ${values.at(-1)}\n`;
  return text + `${spec.name}_count${renderLabels(labels)} ${count}\n`;
}

function renderLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) =>
    `${name}="${escaped(value).replaceAll('"', '\\"')}"`
  );
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
