/**
 * Which upstream a key's records go to: the first rule that names the key, its project or its organisation; otherwise
 * all upstreams by weight.
 *
 * Shares are sticky: a key stays with its upstream while the weights stay, in every lane, node and run, and when a
 * weight grows, keys only ever move to that upstream (weighted rendezvous hashing: each upstream draws a number for the
 * key, `weight / -ln(hash)`, and the highest one wins). So traffic moves from 1 to 10, 50 and 100 percent and back
 * without a project going back and forth between.
 */

/** Names of upstreams and their shares; those with a share of 0 get nothing. */
export type UpstreamShares = Readonly<Record<string, number>>;

/** A rule; a record fits when one of the lists names it. */
export interface RouteRule {
  readonly keys: readonly string[];
  readonly projects: readonly string[];
  readonly organizations: readonly string[];
  readonly to: UpstreamShares;
}

/** What a rule can name. */
export interface RouteSubject {
  readonly key: string;
  /** Empty when nobody has said. */
  readonly projectId: string;
}

interface CompiledRule {
  readonly keys: ReadonlySet<string>;
  readonly projects: ReadonlySet<string>;
  readonly organizations: ReadonlySet<string>;
  readonly to: readonly (readonly [string, number])[];
}

/** Routes of a node; immutable. */
export class UpstreamRoutes {
  readonly #rules: readonly CompiledRule[];
  readonly #shares: readonly (readonly [string, number])[];

  constructor(rules: readonly RouteRule[], shares: UpstreamShares) {
    this.#shares = positive(shares);
    this.#rules = rules.map(({ keys, projects, organizations, to }) => ({
      keys: new Set(keys),
      projects: new Set(projects),
      organizations: new Set(organizations),
      to: positive(to),
    }));
  }

  /** @param organizationOf asked only when a rule names organisations; null when it is not known */
  of(subject: RouteSubject, organizationOf: (key: string) => string | null): string {
    for (const rule of this.#rules) {
      if (fits(rule, subject, organizationOf)) return drawn(rule.to, subject.key);
    }
    return drawn(this.#shares, subject.key);
  }
}

function fits(
  { keys, projects, organizations }: CompiledRule,
  { key, projectId }: RouteSubject,
  organizationOf: (key: string) => string | null,
): boolean {
  if (keys.has(key) || projects.has(projectId)) return true;
  if (organizations.size === 0) return false;
  const organization = organizationOf(key);
  return organization !== null && organizations.has(organization);
}

function drawn(shares: readonly (readonly [string, number])[], key: string): string {
  if (shares.length === 1) return shares[0]![0];
  let best = shares[0]![0];
  let highest = -Infinity;
  for (const [name, weight] of shares) {
    const draw = weight / -Math.log(hashOf(key, name));
    if (draw <= highest) continue;
    highest = draw;
    best = name;
  }
  return best;
}

function positive(shares: UpstreamShares): [string, number][] {
  const entries = Object.entries(shares).filter(([, weight]) => weight > 0);
  if (entries.length === 0) throw new RangeError("No upstream has a weight above 0");
  return entries;
}

/** A number between 0 and 1 from 32-bit FNV-1a over both texts, with MurmurHash3's finish to spread the low bits. */
function hashOf(key: string, name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ 0xff, 0x01000193);
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ hash >>> 16, 0x85ebca6b);
  hash = Math.imul(hash ^ hash >>> 13, 0xc2b2ae35);
  hash ^= hash >>> 16;
  return ((hash >>> 0) + 0.5) / 2 ** 32;
}
