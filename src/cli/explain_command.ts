import { concatBytes, utf8 } from "../core/bytes.ts";
import { loadConfig } from "../config/load_config.ts";
import { ConfigError } from "../config/config_error.ts";
import { Admission } from "../projects/admission.ts";
import { explainPolicy, type PolicyStep } from "../projects/explain_policy.ts";
import { ItemPolicy } from "../projects/item_policy.ts";
import { ProjectTable } from "../projects/project_table.ts";
import { QuotaCounters } from "../projects/quotas/quota_counters.ts";
import { RateLimitTable } from "../projects/rate_limit_table.ts";
import { readStaticProjects } from "../projects/static_projects.ts";
import { type Envelope, EnvelopeScanner, parseEnvelope } from "../protocol/envelope.ts";
import { DsnError, parseDsn } from "../protocol/dsn.ts";
import { RequestError } from "../protocol/request_error.ts";
import type { RequestMeta } from "../protocol/request_meta.ts";
import { findRecord } from "../spool/spool_inspection.ts";
import { type Command, EXIT, type Invocation, type System, UsageError } from "./command.ts";
import { alignedRows, printable } from "./readable.ts";
import { decodedBody, findSpool, metaOf } from "./spool_access.ts";

/** What is explained. */
interface Subject {
  readonly meta: RequestMeta;
  readonly envelope: Envelope;
}

/** `landfall explain` */
export const explainCommand: Command = {
  name: "explain",
  about: "Show which check of a project decides what about an envelope, and why",
  details:
    "ID is a record of the spool, as `spool ls` prints it; FILE holds an envelope, for the project of its DSN or " +
    "of --dsn. The states of projects are those in `projects/*.json`. Limits that were learned are not asked, and " +
    "quotas as if nothing had been counted yet.",
  flags: {
    file: { value: "FILE", about: "Explain the envelope in this file instead of a record" },
    dsn: { value: "DSN", about: "DSN the envelope in the file was sent to" },
    address: { value: "IP", about: "Address it came from; 127.0.0.1 when left out" },
    json: { about: "Print JSON" },
  },
  operands: "[ID]",
  async run(invocation, system) {
    const subject = await subjectOf(invocation, system);
    const steps = explainPolicy(subject, policyOf(invocation, system), system.clock.now());
    system.out(invocation.flags.has("json") ? `${JSON.stringify(steps, null, 2)}\n` : tableOf(steps));
    return EXIT.ok;
  },
};

async function subjectOf(invocation: Invocation, system: System): Promise<Subject> {
  const { flags, operands: [id, ...rest] } = invocation;
  const file = flags.get("file");
  if (rest.length > 0 || (id === undefined) === (file === undefined)) {
    throw new UsageError("explain takes either one ID or --file");
  }
  if (file !== undefined) return fileSubject(file, flags, system);
  const { path } = await findSpool(invocation, system);
  const record = await findRecord(system.storage, path, id!);
  const meta = record && metaOf(record);
  if (!record || !meta) throw new Error(`there is no whole record at ${id}`);
  if (meta.passthrough) throw new Error("the record is no envelope; only limits hold for it");
  const body = decodedBody(system.storage, record, meta);
  return { meta, envelope: await (record.large ? scanned(body) : whole(body)) };
}

function fileSubject(file: string, flags: Invocation["flags"], { sources }: System): Subject {
  const envelope = readable(() => parseEnvelope(utf8(readFile(file, sources))));
  const stated = flags.get("dsn");
  const dsn = stated === undefined ? envelope.dsn : dsnOf(stated);
  if (!dsn) throw new UsageError("the envelope has no DSN in its header; name one with --dsn");
  const remoteAddr = flags.get("address") ?? "127.0.0.1";
  return {
    envelope,
    meta: {
      projectId: dsn.projectId ?? "",
      key: dsn.key,
      version: 7,
      client: null,
      origin: null,
      remoteAddr,
      forwardedFor: remoteAddr,
      userAgent: null,
      clientHints: null,
      noCache: false,
      contentEncoding: "",
      eventId: envelope.eventId,
      quantities: [],
      passthrough: null,
    },
  };
}

function readFile(file: string, sources: System["sources"]): string {
  try {
    return sources.readText(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new Error(`${file} does not exist`);
    throw error;
  }
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
    throw new Error("the body of the record cannot be decoded");
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

function policyOf({ configDir }: Invocation, { sources }: System) {
  const loaded = loadConfig({ dir: configDir, sources });
  const read = readStaticProjects(`${loaded.configDir}/projects`, sources);
  if (read.problems.length > 0) throw new ConfigError(read.problems);
  const { mode, overrideProjectIds } = loaded.config.relay;
  const projects = new ProjectTable({
    unknown: mode === "static" ? "refuse" : mode === "managed" ? "wait" : "forward",
    overrideProjectIds,
    states: [...read.files.values()].flat().map(([key, state]) => [key, state]),
  });
  return {
    admission: new Admission(projects, new RateLimitTable()),
    policy: new ItemPolicy(new QuotaCounters(), () => projects.global.filters),
  };
}

function tableOf(steps: readonly PolicyStep[]): string {
  const rows = steps.map((
    { check, verdict, detail, left },
  ) => [check, verdict, left.join(" ") || "-", detail]);
  return alignedRows([["CHECK", "VERDICT", "LEFT", "WHY"], ...rows].map((row) => row.map(printable)));
}
