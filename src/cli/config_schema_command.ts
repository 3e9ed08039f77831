import { EDITOR_SCHEMA } from "../config/editor_schema.ts";
import { type Command, EXIT } from "./command.ts";

/** `landfall config schema` */
export const configSchemaCommand: Command = {
  name: "config schema",
  about: "Print a JSON Schema of config.yml for editors",
  details:
    "config init writes it beside the file it makes, which names it. What it does not know is whether\n" +
    "values fit together: config check does.",
  run(_, { out }) {
    out(renderEditorSchema());
    return EXIT.ok;
  },
};

/** The schema as text. */
export function renderEditorSchema(): string {
  return `${JSON.stringify(EDITOR_SCHEMA, null, 2)}\n`;
}
