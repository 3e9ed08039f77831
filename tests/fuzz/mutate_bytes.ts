/** Damage to bodies: random bytes, and pieces that mean something to a parser of envelopes, JSON or multipart. */
import type { FuzzRandom } from "./fuzz_random.ts";

const [NEWLINE, OPEN_BRACE] = [0x0a, 0x7b];
const encoder = new TextEncoder();

const TOKENS: readonly Uint8Array[] = [
  "\n",
  "\n\n",
  "\r\n",
  "{}",
  "{}\n",
  "[]",
  "null",
  '"',
  "\\",
  "\\u0000",
  "\\ud800",
  "NaN",
  "1e999",
  "__proto__",
  '{"type":"event"}\n{}\n',
  '{"type":"integration"}\n{}\n',
  '{"type":"attachment","length":0}\n',
  '{"type":"event","type":"event"}\n',
  "--",
  "\r\n--",
  "--\r\n",
  "\r\n\r\n",
  'Content-Disposition: form-data; name="upload_file_minidump"; filename="a"\r\n\r\nMDMP',
  "Content-Type: multipart/mixed; boundary=a\r\n",
  "filename*=UTF-8''%E2%82",
  "MDMP",
  "\x1f\x8b",
].map((text) => encoder.encode(text)).concat([
  new Uint8Array([0]),
  new Uint8Array([0xff, 0xfe]),
  new Uint8Array([0xef, 0xbb, 0xbf]),
  new Uint8Array([0x28, 0xb5, 0x2f, 0xfd]),
  new Uint8Array([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]),
  new Uint8Array([0x42, 0x5a, 0x68, 0x39]),
]);

/** Keys that mean something in the header of an envelope or of an item, or in an event. */
const KEYS: readonly Uint8Array[] = [
  '"length":4294967295,',
  '"length":-1,',
  '"length":null,',
  '"length":"1",',
  '"item_count":4294967296,',
  '"event_id":"not-an-id",',
  '"event_id":"9EC79C33-EC99-42AB-8353-589FCB2E04DC",',
  '"type":"\\u0065vent",',
  '"type":null,',
  '"dsn":"https://b@c/d",',
  '"client":"a\\r\\nb",',
  '"version":99999,',
  '"origin":"http://a\\u000ab",',
  '"user_agent":"\\u0000\\ud800",',
  '"remote_addr":"1.2.3.4",',
  '"forwarded_for":"a\\nb",',
  '"client_hints":{"sec_ch_ua":"\\n"},',
  '"no_cache":1,',
  '"sent_at":0,',
  '"trace":[],',
  '"required_features":{},',
  '"attachment_type":"event.minidump",',
  '"content_type":"application/vnd.sentry.items.log+json",',
  '"span_id":null,',
].map((text) => encoder.encode(text));

const NUMBERS = [
  "0",
  "1",
  "-1",
  "255",
  "65536",
  "2147483648",
  "4294967295",
  "9007199254740993",
  "1e400",
  "0x1",
];

/** The bytes with a few random changes; `other` lends pieces. */
export function mutateBytes(random: FuzzRandom, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  let changed = bytes;
  for (let left = 1 + random.below(4); left > 0; left--) changed = mutateOnce(random, changed, other);
  return changed;
}

function mutateOnce(random: FuzzRandom, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  const at = interestingPlace(random, bytes);
  const length = 1 + random.below(random.oneIn(3) ? bytes.length : 16);
  switch (random.below(11)) {
    case 0:
      return flipped(random, bytes, at);
    case 1:
      return replaced(bytes, at, length, new Uint8Array(0));
    case 2:
      return replaced(bytes, at, 0, bytes.subarray(at, at + length));
    case 3:
      return bytes.subarray(0, at);
    case 4:
      return replaced(bytes, at, random.below(4), random.pick(TOKENS));
    case 5:
      return replaced(bytes, at, length, piece(random, other));
    case 6:
      return withNumber(random, bytes, at);
    case 7:
      return replaced(bytes, bytes.length, 0, random.pick(TOKENS));
    case 8:
      return replaced(bytes, at, 0, random.pick(TOKENS));
    default:
      return replaced(bytes, insideObject(random, bytes), 0, random.pick(KEYS));
  }
}

/** Half of the places are line ends and quotes, where formats change their mind. */
function interestingPlace(random: FuzzRandom, bytes: Uint8Array): number {
  const at = random.below(bytes.length + 1);
  if (random.oneIn(2)) return at;
  const mark = bytes.indexOf(random.pick([0x0a, 0x22, 0x7b, 0x2d, 0x3a]), at);
  return mark < 0 ? at : mark + random.below(2);
}

/** Behind the brace of one of the first objects: mostly that of the envelope's header, or an item's. */
function insideObject(random: FuzzRandom, bytes: Uint8Array): number {
  let at = bytes.indexOf(OPEN_BRACE);
  if (random.oneIn(2)) at = bytes.indexOf(OPEN_BRACE, bytes.indexOf(NEWLINE));
  return at + 1;
}

function flipped(random: FuzzRandom, bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice();
  if (at < copy.length) copy[at]! ^= 1 << random.below(8);
  return copy;
}

/** Puts a number of another size in the place of the next one. */
function withNumber(random: FuzzRandom, bytes: Uint8Array, from: number): Uint8Array {
  const isDigit = (at: number): boolean => bytes[at]! >= 0x30 && bytes[at]! <= 0x39;
  let start = from;
  while (start < bytes.length && !isDigit(start)) start++;
  let end = start;
  while (end < bytes.length && isDigit(end)) end++;
  return replaced(bytes, start, end - start, encoder.encode(random.pick(NUMBERS)));
}

function piece(random: FuzzRandom, bytes: Uint8Array): Uint8Array {
  const start = random.below(bytes.length);
  return bytes.subarray(start, start + 1 + random.below(512));
}

function replaced(bytes: Uint8Array, at: number, remove: number, insert: Uint8Array): Uint8Array {
  const end = Math.min(bytes.length, at + remove);
  const whole = new Uint8Array(at + insert.length + bytes.length - end);
  whole.set(bytes.subarray(0, at));
  whole.set(insert, at);
  whole.set(bytes.subarray(end), at + insert.length);
  return whole;
}
