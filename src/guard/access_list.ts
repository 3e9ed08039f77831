/** Clients named by the operator: by network, project key or user agent. */
import { CidrSet } from "../core/cidr.ts";
import { compileGlobs, type Glob } from "../core/glob.ts";

/** Whom a list names. */
export interface AccessListSpec {
  /** Networks in CIDR notation. */
  readonly addresses: readonly string[];
  /** Public keys. */
  readonly projectKeys: readonly string[];
  /** Globs, case ignored. */
  readonly userAgents: readonly string[];
}

/** Answers about addresses and user agents that are remembered; clients send many requests, and few at the same time. */
const REMEMBERED_MAX = 4096;

/** A list of clients. */
export class AccessList {
  readonly #addresses: ((text: string) => boolean) | null;
  readonly #keys: ReadonlySet<string>;
  readonly #userAgents: Glob | null;

  constructor({ addresses, projectKeys, userAgents }: AccessListSpec) {
    const networks = CidrSet.parse(addresses);
    this.#addresses = addresses.length === 0 ? null : remembering((address) => networks.has(address));
    this.#keys = new Set(projectKeys);
    this.#userAgents = userAgents.length === 0 ? null : remembering(compileGlobs(userAgents));
  }

  /** Whether the list names nobody. */
  get isEmpty(): boolean {
    return this.#addresses === null && this.#keys.size === 0 && this.#userAgents === null;
  }

  /** Whether the list looks at project keys. */
  get hasKeys(): boolean {
    return this.#keys.size > 0;
  }

  /** @param key empty when the request names none */
  has(address: string, key: string, userAgent: string | null): boolean {
    return this.#addresses?.(address) || (this.#keys.size > 0 && this.#keys.has(key)) ||
      (userAgent !== null && this.#userAgents?.(userAgent)) || false;
  }
}

/** The same answers, from a table that starts over when it is full. */
function remembering(ask: (text: string) => boolean): (text: string) => boolean {
  const answers = new Map<string, boolean>();
  return (text) => {
    const known = answers.get(text);
    if (known !== undefined) return known;
    const answer = ask(text);
    if (answers.size >= REMEMBERED_MAX) answers.clear();
    answers.set(text, answer);
    return answer;
  };
}
