/**
 * A line with a length: a TCP proxy on the loopback through which everything takes half a round trip each way.
 *
 * - **TCP handshake.** On the loopback `connect` returns at once, after a round trip in the world. What it would have waited is
 *   charged to the client's first bytes: they leave one round trip after the connection was opened, and arrive half a round
 *   trip later. The other end is dialled when the SYN would arrive, and a refusal is seen when the RST would be back.
 * - **TLS handshake.** Not modelled but done, by the two ends through this line: one round trip with TLS 1.3, two with 1.2.
 * - **Requests and answers.** Each piece is held for half a round trip from when it was read, in order, and so is the end of
 *   a stream.
 * - **Left out**, all of it in favour of the longer line: loss, jitter, bandwidth, windows that are smaller than what is
 *   sent (requests and certificates here fit into the first one, ten segments), and name resolution.
 */

/** How long a line is and where it goes. */
export interface LinkEnd {
  readonly roundTripMs: number;
  /** Port of the loopback; 0: nobody is there. */
  readonly port: number;
}

/** One line. Where it goes can change, as with anycast or DNS: connections that are open stay as they are. */
export class DelayedLink {
  readonly port: number;
  /** Connections opened so far. */
  connections = 0;
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.TcpConn>();
  readonly #pipes = new Set<Promise<void>>();
  readonly #accepting: Promise<void>;

  constructor(private end: LinkEnd) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = this.#listener.addr.port;
    this.#accepting = this.#accept();
  }

  /** New connections go there from now on. */
  lead(end: LinkEnd): void {
    this.end = end;
  }

  /** Ends all connections at once; new ones are refused until {@link DelayedLink.lead}. */
  cut(): void {
    this.end = { ...this.end, port: 0 };
    for (const conn of this.#open) this.#release(conn);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.cut();
    await this.#accepting;
    await Promise.all(this.#pipes);
  }

  async #accept(): Promise<void> {
    for (;;) {
      const client = await this.#listener.accept().catch(() => null);
      if (!client) return;
      this.connections++;
      const pipe = this.#join(client, this.end).finally(() => this.#pipes.delete(pipe));
      this.#pipes.add(pipe);
    }
  }

  async #join(client: Deno.TcpConn, { roundTripMs, port }: LinkEnd): Promise<void> {
    const halfMs = roundTripMs / 2;
    const openedMs = performance.now();
    this.#open.add(client);
    await reach(openedMs + halfMs);
    const server = port === 0 ? null : await Deno.connect({ hostname: "127.0.0.1", port }).catch(() => null);
    if (!server) await reach(openedMs + roundTripMs);
    else if (!this.#open.has(client)) closeQuietly(server); // Cut meanwhile.
    else {
      this.#open.add(server);
      const establishedMs = openedMs + roundTripMs;
      for (const conn of [client, server]) conn.setNoDelay(true);
      await Promise.all([
        carry(client, server, (readMs) => Math.max(readMs, establishedMs) + halfMs),
        carry(server, client, (readMs) => Math.max(readMs + halfMs, establishedMs)),
      ]);
      this.#release(server);
    }
    this.#release(client);
  }

  #release(conn: Deno.TcpConn): void {
    closeQuietly(conn);
    this.#open.delete(conn);
  }
}

/** Copies until the end, each piece no sooner than `due` says of the time it was read at; reading does not wait for that. */
async function carry(
  from: Deno.TcpConn,
  to: Deno.TcpConn,
  due: (readMs: number) => number,
): Promise<void> {
  let written: Promise<unknown> = Promise.resolve();
  const later = (what: () => Promise<unknown>): void => {
    const atMs = due(performance.now());
    written = written.then(() => reach(atMs)).then(what).catch(() => {
      closeQuietly(from);
      closeQuietly(to);
    });
  };
  const buffer = new Uint8Array(64 * 1024);
  for (;;) {
    const read = await from.read(buffer).catch(() => null);
    if (read === null) break;
    const piece = buffer.slice(0, read);
    later(() => writeAll(to, piece));
  }
  later(() => to.closeWrite());
  await written;
}

async function writeAll(conn: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

/** Resolves at a time of `performance.now()`. Timers are late by up to two milliseconds, so the rest is waited for turn by turn. */
async function reach(atMs: number): Promise<void> {
  const early = atMs - performance.now() - 2;
  if (early > 0) await new Promise((resolve) => setTimeout(resolve, Math.floor(early)));
  while (performance.now() < atMs) await new Promise((resolve) => setImmediate(resolve));
}

function closeQuietly(conn: Deno.TcpConn): void {
  try {
    conn.close();
  } catch {
    // Closed before.
  }
}
