/** What the schema of `upstreams` and `upstream_routes` cannot say: keys that need or exclude one another. */
import type { Config } from "./config.ts";

/** A broken rule and where. */
export interface Finding {
  readonly path: readonly (string | number)[];
  readonly rule: string;
}

const WHERE = ["address", "a", "aaaa", "srv"] as const;

/** Everything that is wrong with the upstreams of a configuration. */
export function checkUpstreams({ upstreams, upstreamRoutes }: Config): Finding[] {
  const names = new Set(["default", ...Object.keys(upstreams)]);
  const findings: Finding[] = [];
  const expect = (holds: boolean, path: Finding["path"], rule: string): void => {
    if (!holds) findings.push({ path, rule });
  };
  const known = `must be the name of an upstream: ${[...names].join(", ")}`;
  for (const [name, upstream] of Object.entries(upstreams)) {
    const at = ["upstreams", name];
    const { url, copyTo, tls, endpoints, endpointsFile } = upstream;
    expect(/^[\w.-]{1,64}$/.test(name), at, "must have a name of letters, digits and - . _, at most 64");
    expect(url !== null || name === "default", at, "must have a url");
    expect(copyTo === null || names.has(copyTo), [...at, "copy_to"], known);
    expect(copyTo !== name, [...at, "copy_to"], "must be another upstream");
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
    const isKnown = Object.keys(to).every((name) => names.has(name));
    expect(isKnown, ["upstream_routes", index, "to"], known);
  }
  return findings;
}

const PAIR = "must have certificate and private_key, or neither";
const NO_PROXY = "must not stand beside tls.certificate, which cannot be shown through a proxy";
const EITHER = "must not stand beside endpoints";
const ONE = `must have exactly one of ${WHERE.join(", ")}`;
