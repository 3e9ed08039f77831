/** Request as {@link HttpClient} sends it; `Host` and `Content-Length` are added. */
export interface ClientRequest {
  readonly method: "GET" | "POST";
  /** Origin-form target, e.g. `/api/1/envelope/`. */
  readonly path: string;
  /** Names and values; characters that cannot stand in a value are replaced by spaces. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array | null;
}

// Values come from clients: a line end in one of them would let its sender write the lines that follow.
const UNSENDABLE = /[^\t\x20-\x7e\x80-\xff]/;
const ALL_UNSENDABLE = new RegExp(UNSENDABLE, "g");
const encoder = new TextEncoder();

/** The head of a request; `constant` is what {@link constantHead} made. */
export function requestHead(request: ClientRequest, constant: string): string {
  const head = openHead(request, constant);
  return request.body === null ? `${head}\r\n` : `${head}Content-Length: ${request.body.length}\r\n\r\n`;
}

/** The head of a request up to where lines about its body would stand, without the empty line. */
export function openHead(
  request: { readonly method: string } & Pick<ClientRequest, "path" | "headers">,
  constant: string,
): string {
  let head = `${request.method} ${request.path}${constant}`;
  for (const [name, value] of request.headers) {
    head += `${name}: ${UNSENDABLE.test(value) ? value.replace(ALL_UNSENDABLE, " ") : value}\r\n`;
  }
  return head;
}

/** The part of every head that never changes for an upstream. */
export function constantHead(host: string, authorization: string | null = null): string {
  const head = ` HTTP/1.1\r\nHost: ${host.replace(ALL_UNSENDABLE, "")}\r\n`;
  return authorization === null
    ? head
    : `${head}Authorization: ${authorization.replace(ALL_UNSENDABLE, "")}\r\n`;
}

/** Writes Latin-1 text into bytes that have room for it and returns its length. */
export function writeLatin1(text: string, into: Uint8Array): number {
  const { read, written } = encoder.encodeInto(text, into);
  if (read === text.length && written === read) return written;
  for (let i = 0; i < text.length; i++) into[i] = text.charCodeAt(i);
  return text.length;
}
