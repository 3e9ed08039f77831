import type { Clock } from "../core/clock.ts";
import { RELAY_ID_HEADER, RELAY_SIGNATURE_HEADER, SecretKey } from "../protocol/signature.ts";

/** Who this node is; plain data. */
export interface RelayIdentity {
  /** UUID with dashes. */
  readonly id: string;
  /** Base64url, 32-byte seed or 64-byte key pair. */
  readonly secretKey: string;
}

type Headers = readonly (readonly [string, string])[];

const NO_HEADERS: Headers = [];
const NOTHING = new Uint8Array(0);
/** How long a signature of nothing is used again; an upstream takes it for minutes (`auth.signature_max_age`). */
const REUSE_MS = 5000;
/** Signatures from the future are refused, so envelopes are signed as of a little while ago: clocks differ. */
const BACKDATE_MS = 2000;

/**
 * Signs requests with the identity of this node; without one they go unsigned.
 *
 * Source: control reference, sections 3 and 11. Envelopes carry a signature of no payload with a time, which is the same
 * for all of them, so one serves for {@link REUSE_MS}.
 */
export class RequestSigner {
  readonly #clock: Clock;
  readonly #id: string | null;
  readonly #key: SecretKey | null;
  #forEnvelopes: Headers = NO_HEADERS;
  #renewMs = -Infinity;

  constructor(identity: RelayIdentity | null, clock: Clock) {
    this.#clock = clock;
    this.#id = identity?.id ?? null;
    this.#key = identity && SecretKey.parse(identity.secretKey);
  }

  /** Headers of a request that carries a record. */
  envelopeHeaders(): Headers {
    if (this.#key === null) return NO_HEADERS;
    const nowMs = this.#clock.monotonic();
    if (nowMs >= this.#renewMs) {
      this.#forEnvelopes = this.#headers(this.#key.sign(NOTHING, this.#clock.now() - BACKDATE_MS));
      this.#renewMs = nowMs + REUSE_MS;
    }
    return this.#forEnvelopes;
  }

  /** Headers of a request that only says who asks. */
  idHeaders(): Headers {
    return this.#id === null ? NO_HEADERS : [[RELAY_ID_HEADER, this.#id]];
  }

  /** Headers of a query with this body. */
  queryHeaders(body: Uint8Array): Headers {
    return this.#key === null ? NO_HEADERS : this.#headers(this.#key.sign(body, this.#clock.now()));
  }

  #headers(signature: string): Headers {
    return [[RELAY_ID_HEADER, this.#id!], [RELAY_SIGNATURE_HEADER, signature]];
  }
}
