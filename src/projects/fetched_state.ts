/**
 * From the document an upstream serves for one key to that key's state (control reference, section 4).
 *
 * Unknown and deleted projects, and those this node may not see, look alike: disabled.
 */
import { projectDocument, type ProjectState, projectStates } from "./project_state.ts";

/** Largest document of a project, characters of JSON. */
const DOCUMENT_CHARS_MAX = 1024 * 1024;

/** A document that cannot be used. The message names the field. */
export class DocumentError extends Error {
  override readonly name = "DocumentError";
}

/** A document as it is kept: its text, which is served on, and what of it the cache needs. */
export interface FetchedDocument {
  /** JSON, as received. */
  readonly text: string;
  /** `rev`; null never equals anything. */
  readonly revision: string | null;
}

/** @throws {DocumentError} */
export function fetchedDocument(raw: unknown): FetchedDocument {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
    throw new DocumentError("a project's document must be an object");
  }
  const text = JSON.stringify(raw);
  if (text.length > DOCUMENT_CHARS_MAX) throw new DocumentError("a project's document is too large");
  const { rev } = raw as { rev?: unknown };
  return { text, revision: typeof rev === "string" ? rev : null };
}

/**
 * State of `key` according to a document; without one the project is disabled.
 *
 * @throws {DocumentError}
 */
export function fetchedState(key: string, raw: unknown): ProjectState {
  const read = projectDocument.safeParse(raw);
  if (!read.success) {
    const issue = read.error.issues[0]!;
    throw new DocumentError(`${issue.path.join(".")}: ${issue.message}`);
  }
  const { publicKeys } = read.data;
  const document = publicKeys.length > 0 ? read.data : projectDocument.parse({
    ...raw as object,
    publicKeys: [{ publicKey: key }],
  });
  // A document about other keys says that this one is none of the project's.
  return projectStates(document).find(([owner]) => owner === key)?.[1] ?? DISABLED_STATE;
}

/** State of a key that belongs to no project, or to one that is switched off. */
export const DISABLED_STATE: ProjectState = projectStates(projectDocument.parse({
  disabled: true,
  publicKeys: [{ publicKey: "0".repeat(32) }],
}))[0]![1];
