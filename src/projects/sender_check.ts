/**
 * Whether who sends is a relay that the project trusts, for projects that ask for it.
 *
 * Source: control reference, sections 1 and 3. With `trustedRelaySettings.verifySignature` a request has to carry a
 * signature of the empty payload by one of the project's trusted relays, made at most `auth.signature_max_age` before
 * it was received, and not after. An internal relay of `auth.static_relays` needs no trust of the project, but unlike
 * in a Relay it has to sign like all others: its id alone is no secret.
 *
 * A signature costs some 100 µs to verify, so nothing is verified for projects that do not ask, and a signature that is
 * malformed, too old or from the future is refused unverified. At most {@link SIGNERS_MAX} keys are tried.
 */
import { checkSignature, isTimely, KeyError, PublicKey, signatureTime } from "../protocol/signature.ts";

/** Trusted relays of a project whose keys are tried. */
const SIGNERS_MAX = 100;
const NO_PAYLOAD = new Uint8Array();

/** What a node knows of relays that send to it. Plain data. */
export interface RelaySenders {
  /** Public keys of internal relays. */
  readonly internalKeys: readonly string[];
  /** `auth.signature_max_age`, milliseconds. */
  readonly signatureAgeMsMax: number;
}

/** Nobody is internal; signatures count as long as Relay lets them. */
export const NO_INTERNAL_SENDERS: RelaySenders = { internalKeys: [], signatureAgeMsMax: 300_000 };

/** Verdicts on senders, by one isolate. */
export class SenderCheck {
  readonly #ageMsMax: number;
  readonly #internal: readonly PublicKey[];
  /** Keys as read, by the list that a project's state holds. */
  readonly #read = new WeakMap<readonly string[], readonly PublicKey[]>();

  constructor({ internalKeys, signatureAgeMsMax }: RelaySenders) {
    this.#ageMsMax = signatureAgeMsMax;
    this.#internal = readKeys(internalKeys);
  }

  /**
   * Why the sender is not trusted, or null when it is.
   *
   * @param trusted public keys of the project's trusted relays
   * @param signature value of the request's signature header
   */
  problem(
    trusted: readonly string[],
    signature: string | null,
    receivedAtMs: number,
  ): "missing_signature" | "invalid_signature" | null {
    if (signature === null) return "missing_signature";
    const timeMs = signatureTime(signature);
    if (timeMs === undefined || !isTimely(timeMs, receivedAtMs, this.#ageMsMax)) return "invalid_signature";
    const isBy = (key: PublicKey): boolean => checkSignature(key, signature, NO_PAYLOAD).kind === "valid";
    return this.#internal.some(isBy) || this.#keysOf(trusted).some(isBy) ? null : "invalid_signature";
  }

  #keysOf(trusted: readonly string[]): readonly PublicKey[] {
    let keys = this.#read.get(trusted);
    if (!keys) this.#read.set(trusted, keys = readKeys(trusted.slice(0, SIGNERS_MAX)));
    return keys;
  }
}

/** What is no key signs nothing. */
function readKeys(texts: readonly string[]): PublicKey[] {
  return texts.flatMap((text) => {
    try {
      return [PublicKey.parse(text)];
    } catch (error) {
      if (error instanceof KeyError) return [];
      throw error;
    }
  });
}
