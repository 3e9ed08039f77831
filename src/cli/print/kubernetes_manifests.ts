/**
 * Everything one region's cluster needs: replicas that each keep their spool on a claim of their own, whatever node they
 * are scheduled to, and what stands around them.
 *
 * Why no automatic scaling down: a replica that goes keeps what it had not sent on its claim until it comes back, so that
 * is for a person to decide, once nothing waits there.
 */
import { stringify } from "yaml";
import { VERSION } from "../../core/version.ts";
import type { PrintedNode } from "../print_command.ts";

const NAME = "landfall";
const LABELS = { "app.kubernetes.io/name": NAME } as const;
const SELECTOR = { matchLabels: LABELS } as const;
const IMAGE_USER = 65532;
const DRAIN_DELAY_SECONDS = 15;
/** What a pod is given beyond the times of the configuration before it is killed. */
const STOP_MARGIN_SECONDS = 15;
const MEMORY_MIB = 1024;
const ADMIN_PORT = 3080;
const MEBIBYTE = 1024 * 1024;

/** `landfall print kubernetes` */
export function kubernetesManifests(node: PrintedNode): string {
  const { relay, limits, spool } = node.config();
  const graceSeconds = DRAIN_DELAY_SECONDS + Math.ceil(limits.shutdownTimeout / 1000) + STOP_MARGIN_SECONDS;
  const config = {
    relay: { mode: "proxy", upstream: relay.upstream, host: "0.0.0.0", port: relay.port },
    listener: { exposure: "load_balancer", drain_delay: `${DRAIN_DELAY_SECONDS}s` },
    limits: { shutdown_timeout: `${limits.shutdownTimeout / 1000}s` },
    spool: { envelopes: { path: "/data/spool", max_disk_size: spool.envelopes.maxDiskSize } },
    admin: { host: "0.0.0.0", port: ADMIN_PORT, token: "${LANDFALL_ADMIN_TOKEN}" },
    health: { max_memory_bytes: Math.floor(MEMORY_MIB * MEBIBYTE * 0.85) },
    logging: { format: "json" },
  };
  // Dead letters, kept limits and the files of a growing segment lie on the same volume.
  const volumeGib = Math.ceil(spool.envelopes.maxDiskSize * 1.25 / (1024 * MEBIBYTE));
  const objects = [
    { ...object("v1", "ConfigMap"), data: { "config.yml": stringify(config) } },
    { ...object("v1", "Secret"), type: "Opaque", stringData: { "admin-token": "replace-me" } },
    service(NAME, { type: "LoadBalancer", externalTrafficPolicy: "Local" }),
    service(`${NAME}-pods`, { clusterIP: "None", publishNotReadyAddresses: true }),
    statefulSet(relay.port, graceSeconds, volumeGib),
    { ...object("policy/v1", "PodDisruptionBudget"), spec: { maxUnavailable: 1, selector: SELECTOR } },
    autoscaler(),
    networkPolicy(portOf(relay.upstream)),
    serviceMonitor(),
  ];
  const head =
    "# Printed by `landfall print kubernetes`. Replace the token of the Secret and the image's registry.\n";
  return head + objects.map((it) => stringify(it, { aliasDuplicateObjects: false })).join("---\n");
}

function object(apiVersion: string, kind: string, name: string = NAME) {
  return { apiVersion, kind, metadata: { name, labels: LABELS } };
}

function service(name: string, form: object) {
  const ports = [
    { name: "http", port: 80, targetPort: "http" },
    { name: "admin", port: ADMIN_PORT, targetPort: "admin" },
  ];
  // Nobody outside the cluster has to reach the admin listener.
  const shown = name === NAME ? ports.slice(0, 1) : ports;
  return { ...object("v1", "Service", name), spec: { ...form, selector: LABELS, ports: shown } };
}

function statefulSet(port: number, graceSeconds: number, volumeGib: number) {
  const spread = (topologyKey: string, whenUnsatisfiable: string) => {
    return { maxSkew: 1, topologyKey, whenUnsatisfiable, labelSelector: SELECTOR };
  };
  return {
    ...object("apps/v1", "StatefulSet"),
    spec: {
      serviceName: `${NAME}-pods`,
      replicas: 2,
      podManagementPolicy: "Parallel",
      persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
      selector: SELECTOR,
      template: {
        metadata: { labels: LABELS },
        spec: {
          automountServiceAccountToken: false,
          terminationGracePeriodSeconds: graceSeconds,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: IMAGE_USER,
            runAsGroup: IMAGE_USER,
            fsGroup: IMAGE_USER,
            fsGroupChangePolicy: "OnRootMismatch",
            seccompProfile: { type: "RuntimeDefault" },
          },
          topologySpreadConstraints: [
            spread("topology.kubernetes.io/zone", "ScheduleAnyway"),
            spread("kubernetes.io/hostname", "DoNotSchedule"),
          ],
          containers: [container(port)],
          volumes: [{ name: "config", configMap: { name: NAME } }],
        },
      },
      volumeClaimTemplates: [{
        metadata: { name: "data" },
        spec: {
          accessModes: ["ReadWriteOncePod"],
          resources: { requests: { storage: `${volumeGib}Gi` } },
        },
      }],
    },
  };
}

function container(port: number) {
  const probe = (mode: "live" | "ready", periodSeconds: number, failureThreshold: number) => {
    const httpGet = { path: `/api/relay/healthcheck/${mode}/`, port: "http" };
    return { httpGet, periodSeconds, timeoutSeconds: 3, failureThreshold };
  };
  return {
    name: NAME,
    image: `${NAME}:${VERSION}`,
    args: ["run", "-c", "/etc/landfall"],
    env: [{
      name: "LANDFALL_ADMIN_TOKEN",
      valueFrom: { secretKeyRef: { name: NAME, key: "admin-token" } },
    }],
    ports: [{ name: "http", containerPort: port }, { name: "admin", containerPort: ADMIN_PORT }],
    startupProbe: probe("live", 2, 60),
    livenessProbe: probe("live", 10, 3),
    readinessProbe: probe("ready", 3, 1),
    resources: { requests: { cpu: "1", memory: `${MEMORY_MIB}Mi` }, limits: { memory: `${MEMORY_MIB}Mi` } },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    },
    volumeMounts: [
      { name: "config", mountPath: "/etc/landfall", readOnly: true },
      { name: "data", mountPath: "/data" },
    ],
  };
}

/** By a metric of the nodes, which an adapter such as prometheus-adapter has to offer as a custom metric of pods. */
function autoscaler() {
  return {
    ...object("autoscaling/v2", "HorizontalPodAutoscaler"),
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "StatefulSet", name: NAME },
      minReplicas: 2,
      maxReplicas: 8,
      metrics: [{
        type: "Pods",
        pods: {
          metric: { name: "landfall_pressure", selector: { matchLabels: { source: "highest" } } },
          target: { type: "AverageValue", averageValue: "500m" },
        },
      }],
      behavior: { scaleDown: { selectPolicy: "Disabled" } },
    },
  };
}

function portOf(url: string): number {
  const { port, protocol } = new URL(url);
  return port !== "" ? Number(port) : protocol === "https:" ? 443 : 80;
}

function networkPolicy(upstreamPort: number) {
  const monitoring = { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "monitoring" } } };
  return {
    ...object("networking.k8s.io/v1", "NetworkPolicy"),
    spec: {
      podSelector: SELECTOR,
      policyTypes: ["Ingress", "Egress"],
      ingress: [
        { ports: [{ port: "http", protocol: "TCP" }] },
        { from: [monitoring], ports: [{ port: "admin", protocol: "TCP" }] },
      ],
      egress: [
        { ports: [{ port: 53, protocol: "UDP" }, { port: 53, protocol: "TCP" }] },
        { ports: [{ port: upstreamPort, protocol: "TCP" }] },
      ],
    },
  };
}

function serviceMonitor() {
  return {
    ...object("monitoring.coreos.com/v1", "ServiceMonitor"),
    spec: {
      selector: SELECTOR,
      endpoints: [{
        port: "admin",
        path: "/metrics",
        interval: "15s",
        authorization: { credentials: { name: NAME, key: "admin-token" } },
      }],
    },
  };
}
