/** What the fuzzer damages: all captures, and requests of kinds that no captured client sends. */
import * as zlib from "node:zlib";
import { concatBytes } from "../../src/core/bytes.ts";
import { DUMP, DUMP_BZ2, DUMP_XZ, HUGE_DUMP_BZ2, HUGE_DUMP_XZ } from "../support/compressed_files.ts";
import { goldenEntries, goldenRequest } from "../support/golden_request.ts";

/** A sound request. */
export interface FuzzSource {
  readonly name: string;
  /** Kind of endpoint; kinds are chosen from evenly, because most captures are envelopes. */
  readonly family: string;
  readonly method: string;
  readonly target: string;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** As sent. */
  readonly body: Uint8Array;
  /** Without its content coding. */
  readonly decoded: Uint8Array;
}

const KEY = "a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3";
const AUTH = `sentry_key=${KEY}`;
const encoder = new TextEncoder();

const captures = goldenEntries().map((entry): FuzzSource => {
  const { target, headers, body, decoded } = goldenRequest(entry, "localhost");
  return { name: entry.name, family: entry.family, method: entry.method, target, headers, body, decoded };
});

const hugeDump = new Uint8Array(8 * 1024 * 1024);
hugeDump.set(encoder.encode("MDMP"));

const dumps: Readonly<Record<string, Uint8Array>> = {
  "gz": zlib.gzipSync(encoder.encode(DUMP)),
  "bz2": DUMP_BZ2,
  "xz": DUMP_XZ,
  "gz-bomb": zlib.gzipSync(hugeDump),
  "bz2-bomb": HUGE_DUMP_BZ2,
  "xz-bomb": HUGE_DUMP_XZ,
};

/** Beyond what is held; it compresses well, so that there are few pieces of it in an encoding. */
const large = new Uint8Array(1_200_000).map((_, at) => at >> 12);
large.set(encoder.encode("MDMP"));

const nested = multipart("inner", 'name="upload_file_minidump"; filename="a.dmp"', encoder.encode(DUMP));

const made: readonly FuzzSource[] = [
  ...Object.entries(dumps).map(([name, dump]) => {
    const body = multipart("b", 'name="upload_file_minidump"; filename="a.dmp.gz"', dump);
    return source(`minidump ${name}`, "minidump", `/api/1/minidump/?${AUTH}`, formType("b"), body);
  }),
  source(
    "minidump nested",
    "minidump",
    `/api/1/minidump/?${AUTH}`,
    formType("b"),
    multipart("b", 'name="upload_file_minidump"', nested),
  ),
  source(
    "minidump large",
    "minidump",
    `/api/1/minidump/?${AUTH}`,
    formType("b"),
    multipart("b", 'name="upload_file_minidump"; filename="a.dmp"', large),
  ),
  source("minidump large raw", "minidump", `/api/1/minidump?${AUTH}`, "application/x-dmp", large),
  source(
    "attachments large",
    "attachments",
    `/api/1/events/9ec79c33ec9942ab8353589fcb2e04dc/attachments/?${AUTH}`,
    formType("b"),
    multipart("b", 'name="a"; filename="a.bin"', large),
  ),
  source("unreal large", "unreal", `/api/1/unreal/${KEY}/`, "", large),
  source("minidump raw", "minidump", `/api/1/minidump?${AUTH}`, "application/x-dmp", encoder.encode(DUMP)),
  source("unreal", "unreal", `/api/1/unreal/${KEY}/?UserID=a`, "", encoder.encode("UE4 crash report")),
  source(
    "vercel",
    "vercel",
    `/api/1/integration/vercel/logs?${AUTH}`,
    "application/x-ndjson",
    text('{"a":1}\n'),
  ),
  source(
    "reports",
    "security",
    `/api/1/security/?${AUTH}&sentry_release=a`,
    "application/reports+json",
    text('[{"type":"csp-violation","body":{}},{"type":"crash"},{"type":"csp-violation","body":{"a":1}}]'),
  ),
  source(
    "tunnel",
    "tunnel",
    "/tunnel",
    "text/plain",
    text(`{"dsn":"https://${KEY}@sentry.example/1"}\n{"type":"event"}\n{"message":"a"}\n`),
  ),
  source("upload", "upload", `/api/1/upload/?${AUTH}`, "", text(""), {
    "tus-resumable": "1.0.0",
    "upload-length": "10",
  }),
  source(
    "upload patch",
    "upload",
    `/api/1/upload/x/?${AUTH}`,
    "application/offset+octet-stream",
    text("0123456789"),
    {
      "tus-resumable": "1.0.0",
      "upload-offset": "0",
    },
    "PATCH",
  ),
  source("api", "forward", "/api/0/projects/a/b/releases/?x=1", "application/json", text('{"version":"1"}')),
];

/** All sources by kind of endpoint. */
export const FUZZ_SOURCES: readonly (readonly FuzzSource[])[] = [
  ...Map.groupBy([...captures, ...made], ({ family }) => family).values(),
];

function source(
  name: string,
  family: string,
  target: string,
  contentType: string,
  body: Uint8Array,
  more: Readonly<Record<string, string>> = {},
  method = "POST",
): FuzzSource {
  const headers = new Map(Object.entries(more));
  if (contentType !== "") headers.set("content-type", contentType);
  return { name, family, method, target, headers, body, decoded: body };
}

function formType(boundary: string): string {
  return `multipart/form-data; boundary=${boundary}`;
}

function multipart(boundary: string, disposition: string, content: Uint8Array): Uint8Array {
  const head = text(`--${boundary}\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n`);
  const field = `\r\n--${boundary}\r\nContent-Disposition: form-data; name="sentry[event_id]"\r\n\r\n${
    "a".repeat(32)
  }`;
  return concatBytes([head, content, text(`${field}\r\n--${boundary}--\r\n`)]);
}

function text(value: string): Uint8Array {
  return encoder.encode(value);
}
