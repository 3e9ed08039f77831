import { explainPolicy, type PolicyStep } from "../projects/explain_policy.ts";
import { traceRoot } from "../projects/sampling/trace_root.ts";
import { isProjectKey } from "../protocol/project_key.ts";
import { type Command, EXIT, type Invocation, type System, UsageError } from "./command.ts";
import { type ExplainedSubject, fileSubject, recordSubject } from "./explain_subject.ts";
import { knownPolicy } from "./known_policy.ts";
import { alignedRows, printable } from "./readable.ts";

/** `landfall explain` */
export const explainCommand: Command = {
  name: "explain",
  about: "Show which check of a project decides what about an envelope, and why",
  details:
    "ID is a record of the spool, as `spool ls` prints it; FILE holds an envelope, perhaps compressed, for the " +
    "project of its DSN or of --dsn.\n" +
    "A running node is asked what it knows: states of projects with what files say over them, limits it has learned, " +
    "quotas as they stand. Of a stopped one the disk is asked, which knows all of that but the quotas' counts. " +
    "Nothing is counted or sent.",
  flags: {
    record: { value: "ID", about: "Explain this record of the spool" },
    file: { value: "FILE", about: "Explain the envelope in this file" },
    dsn: { value: "DSN", about: "DSN the envelope in the file was sent to" },
    address: { value: "IP", about: "Address it came from; 127.0.0.1 when left out" },
    "from-origin": { value: "URL", about: "Origin a browser sent it from" },
    "user-agent": { value: "TEXT", about: "User agent of its request" },
    json: { about: "Print JSON" },
  },
  async run(invocation, system) {
    const subject = await subjectOf(invocation, system);
    const { meta, envelope } = subject;
    const root = envelope && traceRoot(envelope, envelope.items, meta.key);
    const rootKey = root !== null && isProjectKey(root) ? root : null;
    const facts = await knownPolicy(meta.key, rootKey, invocation, system);
    const steps = explainPolicy(subject, facts, system.clock.now());
    const notes = [...subject.notes, ...facts.notes];
    const isJson = invocation.flags.has("json");
    system.out(isJson ? `${JSON.stringify({ steps, notes }, null, 2)}\n` : textOf(steps, notes));
    return EXIT.ok;
  },
};

function subjectOf(invocation: Invocation, system: System): Promise<ExplainedSubject> {
  const { flags } = invocation;
  const [id, file] = [flags.get("record"), flags.get("file")];
  if ((id === undefined) === (file === undefined)) {
    throw new UsageError("explain takes either --record or --file");
  }
  return id === undefined ? fileSubject(file!, flags, system) : recordSubject(id, invocation, system);
}

function textOf(steps: readonly PolicyStep[], notes: readonly string[]): string {
  const rows = steps.map((
    { check, verdict, detail, left },
  ) => [check, verdict, left.join(" ") || "-", detail]);
  const table = alignedRows([["CHECK", "VERDICT", "LEFT", "WHY"], ...rows].map((row) => row.map(printable)));
  return table + notes.map((note) => `\n${printable(note)}\n`).join("");
}
