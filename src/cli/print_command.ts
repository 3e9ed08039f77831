import { type Command, EXIT, UsageError } from "./command.ts";
import { ALERT_RULES } from "./print/alert_rules.ts";
import { grafanaDashboard } from "./print/grafana_dashboard.ts";
import { alignedRows } from "./readable.ts";

/** A file the program prints, so that it always fits the version. */
export interface PrintedAsset {
  readonly name: string;
  readonly about: string;
  render(): string;
}

/** Everything `landfall print` can print. */
export const PRINTED_ASSETS: readonly PrintedAsset[] = [
  { name: "grafana", about: "Dashboard for Grafana 10 and later, to be imported", render: grafanaDashboard },
  { name: "alerts", about: "Alert rules for Prometheus", render: () => ALERT_RULES },
];

/** `landfall print` */
export const printCommand: Command = {
  name: "print",
  about: "Print a file for operating a node",
  details: `NAME is one of\n${alignedRows(PRINTED_ASSETS.map(({ name, about }) => [`  ${name}`, about]))}`
    .trim(),
  operands: "NAME",
  run({ operands }, { out }) {
    const asset = PRINTED_ASSETS.find(({ name }) => name === operands[0]);
    if (asset === undefined || operands.length > 1) {
      throw new UsageError(`print takes one of ${PRINTED_ASSETS.map(({ name }) => name).join(", ")}`);
    }
    out(asset.render());
    return EXIT.ok;
  },
};
