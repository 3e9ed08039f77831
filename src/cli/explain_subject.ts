/** What `landfall explain` is asked about: a record of the spool, or an envelope in a file. */
import { concatBytes } from "../core/bytes.ts";
import type { PolicySubject } from "../projects/explain_policy.ts";
import { decodeChunks } from "../protocol/content_coding.ts";
import { DsnError, parseDsn } from "../protocol/dsn.ts";
import { type Envelope, EnvelopeScanner, parseEnvelope } from "../protocol/envelope.ts";
import { RequestError } from "../protocol/request_error.ts";
import type { BodyEncoding } from "../protocol/request_meta.ts";
import { findRecord } from "../spool/spool_inspection.ts";
import { StorageError } from "../spool/storage.ts";
import { type Invocation, type System, UsageError } from "./command.ts";
import { decodedBody, findSpool, metaOf } from "./spool_access.ts";

/** A subject, and what to know of it, in words. */
export interface ExplainedSubject extends PolicySubject {
  readonly notes: readonly string[];
}

/**
 * The record with an id.
 *
 * @throws {Error} there is none, or its body cannot be read
 */
export async function recordSubject(
  id: string,
  invocation: Invocation,
  system: System,
): Promise<ExplainedSubject> {
  const { path } = await findSpool(invocation, system);
  const record = await findRecord(system.storage, path, id).catch((error) => {
    if (StorageError.isNotFound(error)) return null;
    throw error;
  });
  const meta = record && metaOf(record);
  if (!record || !meta) throw new Error(`there is no whole record at ${id}`);
  const notes = meta.isPoliced
    ? ["the rules of its project were asked when it came, and are not again: this is what they say now"]
    : [];
  if (record.isDead) notes.push(`it was given up: ${record.reason}`);
  else if (record.isSettled) notes.push("it is settled: sent, or counted as dropped");
  if (meta.passthrough) return { meta, envelope: null, notes };
  const body = decodedBody(system.storage, record, meta);
  return { meta, envelope: await (record.large ? scanned(body) : whole(body)), notes };
}

/**
 * The envelope in a file, as a request with these flags would bring it.
 *
 * @throws {UsageError} the flags do not say whose it is
 * @throws {Error} there is no such file, or no envelope in it
 */
export async function fileSubject(
  file: string,
  flags: Invocation["flags"],
  { storage }: System,
): Promise<ExplainedSubject> {
  const bytes = await storage.readFile(file).catch((error) => {
    throw StorageError.isNotFound(error) ? new Error(`${file} does not exist`) : error;
  });
  const envelope = await whole(decodeChunks(pieces(bytes), encodingOf(bytes)));
  const stated = flags.get("dsn");
  const dsn = stated === undefined ? envelope.dsn : dsnOf(stated);
  if (!dsn) throw new UsageError("the envelope has no DSN in its header; name one with --dsn");
  const remoteAddr = flags.get("address") ?? "127.0.0.1";
  return {
    envelope,
    notes: [],
    meta: {
      projectId: dsn.projectId ?? "",
      key: dsn.key,
      version: 7,
      client: null,
      origin: flags.get("from-origin") ?? null,
      remoteAddr,
      forwardedFor: remoteAddr,
      userAgent: flags.get("user-agent") ?? null,
      clientHints: null,
      noCache: false,
      contentEncoding: "",
      eventId: envelope.eventId,
      quantities: [],
      passthrough: null,
    },
  };
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** What a captured body begins with; an envelope begins with a brace. */
function encodingOf(bytes: Uint8Array): BodyEncoding {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return "gzip";
  return bytes[0] === 0x28 && bytes[1] === 0xb5 ? "zstd" : "";
}

function dsnOf(text: string) {
  try {
    return parseDsn(text);
  } catch (error) {
    if (error instanceof DsnError) throw new UsageError(`--dsn: ${error.message}`);
    throw error;
  }
}

/** An envelope too large to be held; of its payloads only those of events are there. */
async function scanned(body: AsyncIterable<Uint8Array>): Promise<Envelope> {
  const scanner = new EnvelopeScanner();
  for await (const piece of body) readable(() => scanner.push(piece));
  return readable(() => scanner.finish());
}

async function whole(body: AsyncIterable<Uint8Array>): Promise<Envelope> {
  const pieces = await Array.fromAsync(body).catch(() => {
    throw new Error("the body cannot be decoded");
  });
  return readable(() => parseEnvelope(concatBytes(pieces)));
}

function readable<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof RequestError) throw new Error(`this is no envelope: ${error.message}`);
    throw error;
  }
}
