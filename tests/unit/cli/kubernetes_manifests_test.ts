/** Structure of the manifests: every reference between objects, and between them and the program, holds. */
import { assert, assertEquals } from "@std/assert";
import { parse, parseAllDocuments } from "yaml";
import { loadConfig } from "../../../src/config/load_config.ts";
import { healthRoutes } from "../../../src/listener/routes.ts";
import { METRIC_LAYOUT } from "../../../src/telemetry/catalogue.ts";
import { fakeSources } from "../../support/fake_sources.ts";
import { runFakeCli } from "../../support/fake_system.ts";

// deno-lint-ignore no-explicit-any -- plain data of a dozen published shapes
type Manifest = any;

async function manifests(config?: string): Promise<(kind: string, name?: string) => Manifest> {
  const { out, code } = config === undefined
    ? await runFakeCli(["print", "kubernetes"])
    : await runFakeCli(["print", "kubernetes", "-c", "/pop"], { files: { "/pop/config.yml": config } });
  assertEquals(code, 0);
  const all = parseAllDocuments(out).map((it) => it.toJS() as Manifest);
  return (kind, name = "landfall") => {
    const found = all.filter((it) => it.kind === kind && it.metadata.name === name);
    assertEquals(found.length, 1, `${kind} ${name}`);
    return found[0];
  };
}

const get = await manifests();
const workload = get("StatefulSet").spec;
const pod = workload.template.spec;
const [container] = pod.containers;
const nodeConfig = loadConfig({
  dir: "/etc/landfall",
  sources: fakeSources({
    files: { "/etc/landfall/config.yml": get("ConfigMap").data["config.yml"] },
    env: { LANDFALL_ADMIN_TOKEN: "t" },
  }),
});

Deno.test("print kubernetes: a node starts with the configuration, keeps its spool on the claim and bounds its memory", () => {
  const { config, warnings } = nodeConfig;
  assertEquals(warnings, []);
  assertEquals(container.args, ["run", "-c", "/etc/landfall"]);
  assertEquals(config.admin.token, "t");
  const [claim] = workload.volumeClaimTemplates;
  const data = container.volumeMounts.find((it: Manifest) => it.name === claim.metadata.name);
  assert(config.spool.envelopes.path.startsWith(`${data.mountPath}/`));
  const room = Number.parseInt(claim.spec.resources.requests.storage) * 1024 ** 3;
  assert(room >= config.spool.envelopes.maxDiskSize * 1.2);
  assert(config.health.maxMemoryBytes! < Number.parseInt(container.resources.limits.memory) * 1024 ** 2);
  assertEquals(workload.persistentVolumeClaimRetentionPolicy, {
    whenDeleted: "Retain",
    whenScaled: "Retain",
  });
});

Deno.test("print kubernetes: a pod is given the time a node takes to stop, and none before balancers have noticed", () => {
  const { listener, limits } = nodeConfig.config;
  const { periodSeconds, failureThreshold } = container.readinessProbe;
  assert(pod.terminationGracePeriodSeconds * 1000 > listener.drainDelay + limits.shutdownTimeout);
  assert(listener.drainDelay / 1000 > periodSeconds * failureThreshold);
});

Deno.test("print kubernetes: selectors, names and ports all lead somewhere", () => {
  const labels = workload.template.metadata.labels;
  const monitor = get("ServiceMonitor").spec;
  const [service, headless] = [get("Service"), get("Service", "landfall-pods")];
  for (const selector of [service.spec.selector, headless.spec.selector]) assertEquals(selector, labels);
  const others = [
    workload.selector,
    get("PodDisruptionBudget").spec.selector,
    get("NetworkPolicy").spec.podSelector,
  ];
  others.push(...pod.topologySpreadConstraints.map((it: Manifest) => it.labelSelector));
  for (const { matchLabels } of others) assertEquals(matchLabels, labels);
  assertEquals(monitor.selector.matchLabels, headless.metadata.labels);
  assertEquals(workload.serviceName, headless.metadata.name);

  const { relay, admin } = nodeConfig.config;
  const ports = new Map(container.ports.map((it: Manifest) => [it.name, it.containerPort]));
  assertEquals([...ports], [["http", relay.port], ["admin", admin.port]]);
  const named = [...service.spec.ports, ...headless.spec.ports].map((it: Manifest) => it.targetPort);
  named.push(
    ...get("NetworkPolicy").spec.ingress.flatMap((it: Manifest) => it.ports.map((p: Manifest) => p.port)),
  );
  for (const name of [...named, container.readinessProbe.httpGet.port]) assert(ports.has(name), name);
  assert(headless.spec.ports.some((it: Manifest) => it.name === monitor.endpoints[0].port));
  // Only the cluster reaches the admin listener.
  assertEquals(service.spec.ports.map((it: Manifest) => it.targetPort), ["http"]);

  const secret = get("Secret");
  const references = [
    container.env[0].valueFrom.secretKeyRef,
    monitor.endpoints[0].authorization.credentials,
  ];
  for (const { name, key } of references) {
    assertEquals(name, secret.metadata.name);
    assert(key in secret.stringData);
  }
  assertEquals(pod.volumes[0].configMap.name, get("ConfigMap").metadata.name);
});

Deno.test("print kubernetes: probes ask routes that exist, scaling asks for a metric that exists", () => {
  const routes = healthRoutes({ isReady: () => true } as never).map(({ path }) => path);
  const asked = [container.startupProbe, container.livenessProbe, container.readinessProbe];
  for (const { httpGet: { path } } of asked) assert(routes.includes(path), `${path} of ${routes}`);
  const scaler = get("HorizontalPodAutoscaler").spec;
  assertEquals(scaler.scaleTargetRef.name, get("StatefulSet").metadata.name);
  const { name, selector: { matchLabels } } = scaler.metrics[0].pods.metric;
  const spec = METRIC_LAYOUT.specs.find((it) => it.name === name)!;
  assert((spec.labels as Record<string, readonly string[]>).source!.includes(matchLabels.source));
});

Deno.test("print kubernetes: pods have no privileges and a root nobody writes to", () => {
  assertEquals([pod.securityContext.runAsNonRoot, pod.securityContext.runAsUser], [true, 65532]);
  assertEquals(container.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  });
  assertEquals(pod.automountServiceAccountToken, false);
});

Deno.test("print kubernetes: upstream, port, times and size follow the configuration", async () => {
  const other = await manifests(`
relay: { mode: proxy, upstream: "https://sentry.example.com:9443/", port: 4000 }
limits: { shutdown_timeout: 60 }
spool: { envelopes: { max_disk_size: 40GiB } }
`);
  const { relay } = parse(other("ConfigMap").data["config.yml"]);
  assertEquals([relay.upstream, relay.port], ["https://sentry.example.com:9443/", 4000]);
  const { template, volumeClaimTemplates: [claim] } = other("StatefulSet").spec;
  assertEquals(template.spec.terminationGracePeriodSeconds, 90);
  assertEquals(template.spec.containers[0].ports[0].containerPort, 4000);
  assertEquals(claim.spec.resources.requests.storage, "50Gi");
  assertEquals(other("NetworkPolicy").spec.egress.at(-1).ports[0].port, 9443);
});
