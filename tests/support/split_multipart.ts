/** A second, simple reading of multipart bodies, so that what the node makes of them is not judged by its own parser. */

/** One part. */
export interface SplitPart {
  readonly name: string;
  readonly filename: string | null;
  readonly contentType: string | null;
  readonly content: Uint8Array;
}

/** Takes a well-formed body apart; its boundary is the first line. */
export function splitMultipart(body: Uint8Array): SplitPart[] {
  const text = new TextDecoder("latin1").decode(body);
  const boundary = text.slice(0, text.indexOf("\r\n"));
  return text.split(`${boundary}`).slice(1, -1).map((part) => {
    const end = part.indexOf("\r\n\r\n");
    const head = part.slice(0, end);
    const content = part.slice(end + 4, -2);
    return {
      name: /; name="([^"]*)"/.exec(head)?.[1] ?? "",
      filename: /; filename="([^"]*)"/.exec(head)?.[1] ?? null,
      contentType: /\r\nContent-Type: (.*)/i.exec(head)?.[1] ?? null,
      content: bytesOf(content),
    };
  });
}

function bytesOf(latin1: string): Uint8Array {
  return Uint8Array.from(latin1, toCode);
}

const BYTES_OF_TEXT: ReadonlyMap<string, number> = new Map(
  Array.from(
    { length: 256 },
    (_, byte) => [new TextDecoder("latin1").decode(new Uint8Array([byte])), byte] as const,
  ),
);

/** "latin1" of a `TextDecoder` is really windows-1252. */
function toCode(char: string): number {
  return BYTES_OF_TEXT.get(char)!;
}
