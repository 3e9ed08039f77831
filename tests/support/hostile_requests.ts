/**
 * Requests nobody honest sends, as they go over the wire, with the answer of either engine.
 *
 * The statuses are those of nginx or of a Relay. Engines differ where both readings are safe, or where HTTP has been left
 * before the request could be answered: null is a connection that ends without an answer.
 */
import { AUTH } from "./listener_fixture.ts";

/** Bytes (Latin-1), and the status each engine answers them with. */
export interface HostileRequest {
  readonly name: string;
  readonly bytes: string;
  readonly internet: number | null;
  readonly loadBalancer: number | null;
}

const EVENT = `{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc"}\n{"type":"event","length":2}\n{}\n`;
const LENGTH = EVENT.length;
const POST = `POST /api/42/envelope/?${AUTH} HTTP/1.1\r\nHost: x\r\n`;
const CHUNKED = `${LENGTH.toString(16)}\r\n${EVENT}\r\n0\r\n\r\n`;
const LIVE = "/api/relay/healthcheck/live/";

const post = (headers: string, body = EVENT): string => `${POST}${headers}\r\n\r\n${body}`;
const get = (target: string, headers = "Host: a", version = "1.1"): string =>
  `GET ${target} HTTP/${version}\r\n${headers}\r\n\r\n`;

type Row = readonly [
  name: string,
  bytes: string,
  internet: number | null,
  loadBalancer?: number | null,
];

const LENGTHS: readonly Row[] = [
  ["length and chunks", post(`Content-Length: ${LENGTH}\r\nTransfer-Encoding: chunked`, CHUNKED), 400],
  ["chunks and length", post("Transfer-Encoding: chunked\r\nContent-Length: 4", CHUNKED), 400],
  ["two lengths that differ", post(`Content-Length: ${LENGTH}\r\nContent-Length: 5`), 400],
  ["one length twice", post(`Content-Length: ${LENGTH}\r\nContent-Length: ${LENGTH}`), 400, 200],
  ["a list of lengths", post(`Content-Length: ${LENGTH}, ${LENGTH}`), 400],
  ["a length with a sign", post(`Content-Length: +${LENGTH}`), 400],
  ["a negative length", post("Content-Length: -1"), 400],
  ["a hexadecimal length", post("Content-Length: 0x40"), 400],
  ["a length beyond 64 bits", post("Content-Length: 99999999999999999999"), 400],
  ["a length beyond the limit", post("Content-Length: 9000000000", ""), 413],
  ["no length after the colon", post("Content-Length: "), 400],
  ["a space before the colon", post(`Content-Length : ${LENGTH}`), 400],
  ["a hidden coding", post("Content-Length: 0\r\nTransfer-Encoding : chunked", CHUNKED), 400],
];

const CODINGS: readonly Row[] = [
  ["an unknown coding", post("Transfer-Encoding: xchunked", CHUNKED), 400],
  ["chunks that are not last", post("Transfer-Encoding: chunked, identity", CHUNKED), 400],
  ["identity", post("Transfer-Encoding: identity", CHUNKED), 400],
  ["chunked twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", CHUNKED), 400],
  ["a control character", post("Transfer-Encoding: \x0bchunked", CHUNKED), 400],
  [
    "chunks before HTTP/1.1",
    post("Transfer-Encoding: chunked", CHUNKED).replace("HTTP/1.1", "HTTP/1.0"),
    400,
  ],
  ["a chunk size that is none", post("Transfer-Encoding: chunked", "zz\r\nhello\r\n0\r\n\r\n"), 400, null],
  ["a negative chunk size", post("Transfer-Encoding: chunked", "-5\r\nhello\r\n0\r\n\r\n"), 400, null],
  [
    "a chunk size beyond 64 bits",
    post("Transfer-Encoding: chunked", "ffffffffffffffffff\r\nhello\r\n"),
    400,
    null,
  ],
  ["a chunk longer than it says", post("Transfer-Encoding: chunked", "5\r\nhelloXX0\r\n\r\n"), 400, null],
  [
    "a chunk with a long extension",
    post("Transfer-Encoding: chunked", `5;${"a".repeat(40_000)}\r\nhello\r\n0\r\n\r\n`),
    400,
  ],
];

const HEADERS: readonly Row[] = [
  ["a folded header", post(`X-A: a\r\n b\r\nContent-Length: ${LENGTH}`), 400],
  ["NUL in a value", post(`X-A: a\0b\r\nContent-Length: ${LENGTH}`), 400],
  ["NUL in a name", post(`X\0A: b\r\nContent-Length: ${LENGTH}`), 400],
  ["a bare carriage return", post(`X-A: a\rb\r\nContent-Length: ${LENGTH}`), 400],
  ["a header without a colon", get("/", "Host: a\r\nfoo"), 400],
  ["a header without a name", get("/", "Host: a\r\n: b"), 400],
  ["a space before the first header", get("/", " Host: a"), 400],
  ["two hosts", get(LIVE, "Host: a\r\nHost: b"), 400],
  ["no host", get(LIVE, "X: a"), 400, 200],
  ["a host with a path", get(LIVE, "Host: a b/c"), 400],
  ["a host with a control character", get(LIVE, "Host: \x01"), 400],
  ["20 KB in a header", get("/", `Host: a\r\nX: ${"a".repeat(20_000)}`), 431, 404],
  ["500 KB in a header", get("/", `Host: a\r\nX: ${"a".repeat(500_000)}`), 431, 400],
  ["an expectation nobody knows", post(`Expect: tea\r\nContent-Length: ${LENGTH}`), 417, 200],
];

const TARGETS: readonly Row[] = [
  ["a target of 9 KB", get(`/${"a".repeat(9000)}`), 414],
  ["a query of 9 KB", get(`${LIVE}?${"a".repeat(9000)}`), 414],
  ["a target of 20 KB", get(`/${"a".repeat(20_000)}`), 414],
  ["a target of 70 KB", get(`/${"a".repeat(70_000)}`), 414, 400],
  ["a target with a control character", get("/\x01"), 400],
  ["a target that is not ASCII", get("/\xff"), 400],
  ["a target with a space", get("/a b"), 400],
  ["a target without a slash", get("api"), 400],
  ["a way upwards", get("/api/../../etc/passwd"), 404],
  ["a project that is none", post(`Content-Length: ${LENGTH}`).replace("/42/", "/abc/"), 400],
  ["a key that is none", post(`Content-Length: ${LENGTH}`).replace(AUTH, "sentry_key=zz"), 400],
  ["a path nobody has", get("/wp-login.php"), 404],
  ["a method the path does not have", get("/api/42/envelope/"), 405],
];

const PROTOCOLS: readonly Row[] = [
  ["a method nobody has", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 400, 404],
  ["a method in small letters", "get / HTTP/1.1\r\nHost: a\r\n\r\n", 400, 404],
  ["a method that is no token", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["a tunnel", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 405, 404],
  ["a trace", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 404],
  ["no version", "GET /\r\n\r\n", 400],
  ["a version to come", get("/", "Host: a", "2.0"), 400],
  ["a version nobody knows", get("/", "Host: a", "9.9"), 400],
  ["TLS", `\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03${"\0".repeat(200)}\r\n\r\n`, 400],
  ["SSH", "SSH-2.0-OpenSSH_9.6\r\n\r\n", 400],
  ["bytes that are nothing", "\x80\xff\xfe\0\x01\r\n\r\n", 400],
  ["a PROXY header of anybody", `PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n${get("/")}`, 400],
];

/** All of them. */
export const HOSTILE_REQUESTS: readonly HostileRequest[] = [
  ...LENGTHS,
  ...CODINGS,
  ...HEADERS,
  ...TARGETS,
  ...PROTOCOLS,
].map(([name, bytes, internet, loadBalancer = internet]) => ({ name, bytes, internet, loadBalancer }));
