/** What the schema of `upstreams` and `upstream_routes` cannot say: keys that need or exclude one another. */
import type { Config } from "./config.ts";

/** A broken rule and where. */
export interface Finding {
  readonly path: readonly (string | number)[];
  readonly rule: string;
  /** The name that was given, where a name is what is wrong. */
  readonly received?: string;
}

const WHERE = ["address", "a", "aaaa", "srv"] as const;

/** Everything that is wrong with the upstreams of a configuration. */
export function checkUpstreams({ upstreams, upstreamRoutes }: Config): Finding[] {
  const names = new Set(["default", ...Object.keys(upstreams)]);
  const findings: Finding[] = [];
  const expect = (holds: boolean, path: Finding["path"], rule: string, received?: string | null): void => {
    if (!holds) findings.push({ path, rule, ...typeof received === "string" && { received } });
  };
  const known = `must be the name of an upstream: ${[...names].join(", ")}`;
  for (const [name, upstream] of Object.entries(upstreams)) {
    const at = ["upstreams", name];
    const { url, copyTo, tls, endpoints, endpointsFile } = upstream;
    expect(
      /^[\w.-]{1,64}$/.test(name),
      at,
      "must have a name of letters, digits and - . _, at most 64",
      name,
    );
    expect(url !== null || name === "default", at, "must have a url");
    expect(copyTo === null || names.has(copyTo), [...at, "copy_to"], known, copyTo);
    expect(copyTo !== name, [...at, "copy_to"], "must be another upstream", copyTo);
    expect((tls.certificate === null) === (tls.privateKey === null), [...at, "tls"], PAIR);
    const isProxied = upstream.proxy !== null && upstream.proxy !== "none";
    expect(tls.certificate === null || !isProxied, [...at, "proxy"], NO_PROXY);
    expect(endpoints.length === 0 || endpointsFile === null, [...at, "endpoints_file"], EITHER);
    for (const [index, endpoint] of endpoints.entries()) {
      expect(WHERE.filter((kind) => endpoint[kind] !== null).length === 1, [...at, "endpoints", index], ONE);
    }
  }
  const weights = [...names].map((name) => upstreams[name]?.weight ?? (name === "default" ? 1 : 0));
  expect(weights.some((weight) => weight > 0), ["upstreams"], "must have an upstream with a weight above 0");
  for (const [index, { to }] of upstreamRoutes.entries()) {
    const unknown = Object.keys(to).find((name) => !names.has(name));
    expect(unknown === undefined, ["upstream_routes", index, "to"], known, unknown);
  }
  return findings;
}

const PAIR = "must have certificate and private_key, or neither";
const NO_PROXY = "must not stand beside tls.certificate, which cannot be shown through a proxy";
const EITHER = "must not stand beside endpoints";
const ONE = `must have exactly one of ${WHERE.join(", ")}`;
