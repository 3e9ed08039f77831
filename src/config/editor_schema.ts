/** The schema of `config.yml` for editors: names, meanings, defaults and what the values of every key look like. */
import { configSchema } from "./config.ts";
import { jsonSchemaOf } from "./config_field.ts";
import type { JsonSchema } from "./json_schema.ts";

/** JSON Schema, draft 2020-12. What the node takes it takes; what it takes the node may still refuse. */
export const EDITOR_SCHEMA: JsonSchema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  title: "Configuration of a Landfall node",
  ...jsonSchemaOf(configSchema),
};
