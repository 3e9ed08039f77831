/** An HTTP proxy that knows nothing but CONNECT. */

/** What a client asked for, and where it is led instead of the name it asked for. */
export interface ConnectProxyOptions {
  /** Credentials it insists on, as in `user:password`. */
  readonly credentials?: string;
  /** Where a tunnel to `authority` leads; default: there. */
  readonly route?: (authority: string) => string;
}

export class ConnectProxy implements AsyncDisposable {
  /** Authorities that tunnels were opened to. */
  readonly tunnels: string[] = [];
  refused = 0;
  readonly port: number;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #open = new Set<Deno.Conn>();
  readonly #accepting: Promise<void>;

  constructor(readonly options: ConnectProxyOptions = {}) {
    this.port = this.#listener.addr.port;
    this.#accepting = this.#accept();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const conn of this.#open) close(conn);
    await this.#accepting;
  }

  async #accept(): Promise<void> {
    const serving: Promise<void>[] = [];
    try {
      for await (const conn of this.#listener) serving.push(this.#serve(conn).catch(() => {}));
    } catch {
      // Closed.
    }
    await Promise.all(serving);
  }

  async #serve(conn: Deno.Conn): Promise<void> {
    this.#open.add(conn);
    const buffer = new Uint8Array(4096);
    let head = "";
    while (!head.endsWith("\r\n\r\n")) {
      const bytes = await conn.read(buffer);
      if (bytes === null) return close(conn);
      head += new TextDecoder().decode(buffer.subarray(0, bytes));
    }
    const authority = /^CONNECT (\S+) HTTP/.exec(head)?.[1];
    const wanted = this.options.credentials && `Proxy-Authorization: Basic ${btoa(this.options.credentials)}`;
    if (authority === undefined || wanted && !head.includes(wanted)) {
      this.refused++;
      await conn.write(new TextEncoder().encode("HTTP/1.1 407 Who are you\r\n\r\n"));
      return close(conn);
    }
    this.tunnels.push(authority);
    const [hostname, port] = (this.options.route?.(authority) ?? authority).split(":");
    const other = await Deno.connect({ hostname: hostname!, port: Number(port) });
    this.#open.add(other);
    await conn.write(new TextEncoder().encode("HTTP/1.1 200 Go on\r\n\r\n"));
    await Promise.all([conn.readable.pipeTo(other.writable), other.readable.pipeTo(conn.writable)])
      .catch(() => {});
    close(conn);
    close(other);
  }
}

function close(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch {
    // Closed before.
  }
}
