/** How the commands of the group `spool` get at the spool and at what its records hold. */
import type { Config } from "../config/config.ts";
import { loadConfig } from "../config/load_config.ts";
import { decodeChunks } from "../protocol/content_coding.ts";
import { decodeRequestMeta, type RequestMeta } from "../protocol/request_meta.ts";
import {
  bodyOf,
  type InspectedPartition,
  type InspectedRecord,
  inspectSpool,
  readSegment,
} from "../spool/spool_inspection.ts";
import { type Storage, StorageError } from "../spool/storage.ts";
import type { Invocation, System } from "./command.ts";

/** A spool found through the configuration. */
export interface FoundSpool {
  readonly config: Config;
  readonly path: string;
  readonly partitions: readonly InspectedPartition[];
}

/**
 * The spool of the node with this configuration, whether it runs or not.
 *
 * @throws {ConfigError} the configuration is wrong
 * @throws {Error} there is no spool
 */
export async function findSpool({ configDir }: Invocation, system: System): Promise<FoundSpool> {
  const { config } = loadConfig({ dir: configDir, sources: system.sources });
  const { path } = config.spool.envelopes;
  try {
    return { config, path, partitions: await inspectSpool(system.storage, path) };
  } catch (error) {
    if (!StorageError.isNotFound(error)) throw error;
    throw new Error(`there is no spool at ${path}`);
  }
}

/** All whole records: those of the dead letters, or those that wait. */
export async function* recordsOf(
  { partitions }: FoundSpool,
  { storage, clock }: System,
  isDead: boolean,
): AsyncGenerator<InspectedRecord> {
  for (const { segments } of partitions) {
    for (const segment of segments) {
      if (segment.isDead !== isDead) continue;
      for await (const found of readSegment(storage, segment, clock)) {
        if (found.kind === "record" && !found.isSettled) yield found;
      }
    }
  }
}

/** What a record says of its request, or null when it cannot be read. */
export function metaOf({ meta }: Pick<InspectedRecord, "meta">): RequestMeta | null {
  try {
    return decodeRequestMeta(meta);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/**
 * The body of a record without its encoding, in pieces.
 *
 * @throws {Error} it cannot be decoded, or its file is missing or damaged
 */
export function decodedBody(
  storage: Storage,
  record: Pick<InspectedRecord, "body" | "large">,
  meta: RequestMeta,
): AsyncIterable<Uint8Array> {
  return decodeChunks(bodyOf(storage, record), meta.contentEncoding);
}
