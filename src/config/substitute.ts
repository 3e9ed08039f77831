/**
 * `${NAME}` and `${file:path}` inside the scalars of a document (control reference, section 2).
 *
 * Why not before parsing: a value with a colon or a line break in it would change the document's structure. So the text
 * of parsed scalars is replaced, once (what was inserted is not searched again), and a plain scalar is then read anew
 * as YAML would, because `port: ${PORT}` means a number. A quoted one stays a string.
 */
import { parse } from "yaml";
import type { ConfigSources } from "./config_sources.ts";

const REFERENCE = /\$\{([^}]*)\}/g;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
const FILE_PREFIX = "file:";

/** A reference that leads nowhere. The message is a rule such as `environment variable X is not set`. */
export class SubstitutionError extends Error {
  override readonly name = "SubstitutionError";
}

/**
 * Replaces the references in the text of a scalar.
 *
 * @param folder folder that relative `file:` paths start from
 * @throws {SubstitutionError} a variable that is not set, a file that cannot be read, or another form of reference
 */
export function substitute(text: string, folder: string, sources: ConfigSources): string {
  return text.replace(REFERENCE, (whole, reference: string) => {
    if (reference.startsWith(FILE_PREFIX)) {
      return readReferenced(reference.slice(FILE_PREFIX.length), folder, sources);
    }
    if (!VARIABLE.test(reference)) {
      throw new SubstitutionError(`${whole} is neither \${NAME} nor \${file:path}`);
    }
    return readVariable(reference, sources);
  });
}

/** The value of a plain scalar after substitution: null, boolean or number where YAML reads one, else the text. */
export function readPlain(text: string): string | number | boolean | null {
  if (text === "") return null;
  if (!/^[\w.+~-]+$/.test(text)) return text;
  const value: unknown = parse(text);
  if (value === null || typeof value === "boolean") return value;
  // A number that is not written the way it would be printed (007, 1e9999) is left to whoever wants a number.
  return typeof value === "number" && String(value) === text ? value : text;
}

function readVariable(name: string, sources: ConfigSources): string {
  let value: string | undefined;
  try {
    value = sources.env(name);
  } catch (error) {
    throw new SubstitutionError(`environment variable ${name} cannot be read: ${messageOf(error)}`);
  }
  if (value === undefined) throw new SubstitutionError(`environment variable ${name} is not set`);
  return value;
}

/** Editors and secret stores end files with a line break that is not meant. */
function readReferenced(path: string, folder: string, sources: ConfigSources): string {
  const full = path.startsWith("/") ? path : `${folder}/${path}`;
  try {
    return sources.readText(full).replace(/\r?\n$/, "");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new SubstitutionError(`file ${full} does not exist`);
    throw new SubstitutionError(`file ${full} cannot be read: ${messageOf(error)}`);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
