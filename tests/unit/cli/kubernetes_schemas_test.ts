/** The manifests against the schemas Kubernetes publishes: required fields, types and formats; unknown fields pass. */
import { assertEquals, assertThrows } from "@std/assert";
import { StatefulSet } from "kubernetes-models/apps/v1/StatefulSet";
import { HorizontalPodAutoscaler } from "kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler";
import { NetworkPolicy } from "kubernetes-models/networking.k8s.io/v1/NetworkPolicy";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget";
import { ConfigMap } from "kubernetes-models/v1/ConfigMap";
import { Secret } from "kubernetes-models/v1/Secret";
import { Service } from "kubernetes-models/v1/Service";
import { parseAllDocuments } from "yaml";
import { runFakeCli } from "../../support/fake_system.ts";

const MODELS = [
  ConfigMap,
  HorizontalPodAutoscaler,
  NetworkPolicy,
  PodDisruptionBudget,
  Secret,
  Service,
  StatefulSet,
];
/** Defined by the Prometheus operator, not by Kubernetes. */
const FOREIGN = "monitoring.coreos.com/v1 ServiceMonitor";

function validate(manifest: { apiVersion: string; kind: string }): void {
  const { apiVersion, kind } = manifest;
  const Model = MODELS.find((model) => model.kind === kind && model.apiVersion === apiVersion);
  if (Model === undefined) return assertEquals(`${apiVersion} ${kind}`, FOREIGN);
  new Model(manifest as never).validate();
}

const { out } = await runFakeCli(["print", "kubernetes"]);
const manifests = parseAllDocuments(out).map((it) => it.toJS());

for (const manifest of manifests) {
  Deno.test(`print kubernetes: ${manifest.kind} ${manifest.metadata.name} is valid`, () =>
    validate(manifest));
}

Deno.test("print kubernetes: every kind is among them, and a wrong field would be found", () => {
  const kinds = new Set(manifests.map(({ kind }) => kind));
  assertEquals(kinds, new Set([...MODELS.map(({ kind }) => kind as string), "ServiceMonitor"]));
  const workload = structuredClone(manifests.find(({ kind }) => kind === "StatefulSet"));
  workload.spec.template.spec.containers[0].readinessProbe.periodSeconds = "soon";
  assertThrows(() => validate(workload));
});
