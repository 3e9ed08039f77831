/** From the configuration of a node to the settings of its halves. */
import { permitFloor } from "../core/shared_permits.ts";
import type { Config } from "../config/config.ts";
import type { LoadedConfig } from "../config/load_config.ts";
import type { ConnectionCounts } from "../listener/connection_gate.ts";
import { NODE_ENGINE_IS_COMPLETE } from "../listener/node_engine.ts";
import { connectionsWithinOpenFiles } from "../listener/open_files.ts";
import type { GuardBuffers } from "./build_guard.ts";
import { guardOptions } from "./guard_control.ts";
import type { TlsMaterial } from "../listener/tls_material.ts";
import { defaultUpstreamUrl } from "./upstream_plan.ts";
import type { CommonOptions, ForwardSettings, IngestOptions, IngestSettings, Ports } from "./messages.ts";

/** Of an even share of the requests under way, what large records may take at most. */
const LARGE_SHARE = 0.25;
/** A segment is deleted whole, so the bound of the spool has to hold several per lane. */
const SEGMENTS_PER_LANE_MIN = 8;

/**
 * Lanes this runtime can run: several need a shared port, which older runtimes do not give exposure `internet`.
 */
export function supportedLanes({ lanes, listener }: Config): number {
  return listener.exposure === "internet" && !NODE_ENGINE_IS_COMPLETE ? 1 : lanes;
}

/** A configuration with as many lanes as this runtime can run. */
export function runnableHere(loaded: LoadedConfig): LoadedConfig {
  return { ...loaded, config: { ...loaded.config, lanes: supportedLanes(loaded.config) } };
}

/** What the listeners of all lanes share. */
export interface SharedEdge {
  readonly connectionCounts: ConnectionCounts;
  /** The certificates in use; null without a TLS port. */
  readonly tls: TlsMaterial | null;
  readonly guard: GuardBuffers;
}

/**
 * Connections that each lane may hold. More than the open files allow for would end in a listener that accepts no more, so
 * that is the bound whatever is configured.
 */
export function connectionsPerLane({ limits, lanes }: Config): number {
  const withinOpenFiles = connectionsWithinOpenFiles(lanes);
  return limits.maxConnections === null
    ? withinOpenFiles
    : Math.min(withinOpenFiles, Math.ceil(limits.maxConnections / lanes));
}

/** What both halves are told of relays that send, and of outcomes. */
export function policyOptions(
  { config: { auth, outcomes, quotas } }: LoadedConfig,
): Pick<CommonOptions, "reports" | "senders" | "sharesQuotas"> {
  const internalKeys = auth.staticRelays.filter(({ internal }) => internal).map(({ publicKey }) => publicKey);
  return {
    reports: outcomes.emitOutcomes === false ? null : { intervalMs: outcomes.reportInterval },
    sharesQuotas: quotas.store !== null,
    senders: { internalKeys, signatureAgeMsMax: auth.signatureMaxAge },
  };
}

/** Settings of an ingest half that listens on `ports`. */
export function ingestSettings({ config }: LoadedConfig, ports: Ports, edge: SharedEdge): IngestSettings {
  const { limits, listener, spool, relay, lanes } = config;
  return {
    segmentBytesMax: segmentBytes(spool, lanes),
    memoryAck: spool.ack === "memory" ? { bytesMax: spool.ackMemory / lanes, delayMs: spool.ackDelay } : null,
    shed: {
      bulkyShare: spool.shed.bulkyFrom,
      costlyShare: spool.shed.costlyFrom,
      projectShare: spool.projectShare,
    },
    accessLog: {
      isOn: config.accessLog.output !== "off" ||
        config.logShipping.some(({ logs }) => logs.includes("access")),
      sample: config.accessLog.sample,
      masksAddresses: config.logging.redactAddresses,
    },
    guard: guardOptions(config, edge.guard),
    itemLimits: limits,
    answersRelays: relay.mode === "managed",
    acceptUnknownItems: config.routing.acceptUnknownItems,
    passing: passingOptions(config),
    listener: {
      exposure: listener.exposure,
      hostname: relay.host,
      port: ports.plain,
      trustedProxies: listener.trustedProxies,
      envelopeBytesMax: limits.maxEnvelopeSize,
      uploadBytesMax: limits.maxUploadSize,
      bodyMemoryBytesMax: listener.bodyMemory,
      backlog: limits.tcpListenBacklog,
      connectionsMax: connectionsPerLane(config),
      connectionsPerAddress: listener.connectionsPerAddress,
      connectionCounts: edge.connectionCounts,
      isProxied: listener.proxyProtocol === "trusted",
      tls: edge.tls && { port: ports.tls ?? 0, material: edge.tls },
      hosts: listener.hosts,
      hstsMaxAgeSeconds: listener.hstsMaxAge === null ? null : Math.floor(listener.hstsMaxAge / 1000),
      pace: paceLimits(config),
      timeouts: connectionTimeouts(config),
      reusePort: lanes > 1,
      healthRoutes: relay.internalPort === null,
      tunnel: tunnelRules(config),
    },
  };
}

/** How long connections are waited for. */
export function connectionTimeouts({ listener }: Config): IngestOptions["listener"]["timeouts"] {
  return {
    headersMs: listener.headerTimeout,
    idleMs: listener.idleTimeout,
    answerMs: listener.answerTimeout,
  };
}

/** How slowly bodies may come. */
export function paceLimits({ listener }: Config): IngestOptions["listener"]["pace"] {
  return {
    timeoutMs: listener.bodyTimeout,
    bytesPerSecondMin: listener.bodyRateMin,
    requestTimeoutMs: listener.requestTimeout,
  };
}

function passingOptions({ http, limits, lanes }: Config): IngestOptions["passing"] {
  return {
    connectTimeoutMs: http.connectionTimeout,
    timeoutMs: http.timeout,
    requestsMax: limits.maxConcurrentRequests,
    permitFloor: permitFloor(limits.maxConcurrentRequests, lanes),
    isForwarding: http.forward,
    payloadBytesMax: limits.maxApiPayloadSize,
    fileUploadBytesMax: limits.maxApiFileUploadSize,
    chunkUploadBytesMax: limits.maxApiChunkUploadSize,
  };
}

function tunnelRules(config: Config): IngestOptions["listener"]["tunnel"] {
  const { tunnel } = config.listener;
  if (tunnel.path === null) return null;
  const hosts = [new URL(defaultUpstreamUrl(config)).hostname, ...tunnel.allowedHosts];
  return { path: tunnel.path, hosts, projectIds: tunnel.projectIds };
}

/** Settings of a forward half. */
export function forwardSettings({ config, credentials }: LoadedConfig, isHeld: boolean): ForwardSettings {
  const { http, limits, spool, lanes } = config;
  return {
    checkpointIntervalMs: spool.checkpointInterval,
    freshMs: spool.freshFor,
    backlogShare: spool.backlogShare,
    deadLetterBytesMax: spool.deadLetterSize,
    recordAgeMsMax: spool.envelopes.maxEnvelopeDelaySecs * 1000,
    bodyBytesMax: limits.maxEnvelopeSize,
    upstream: {
      identity: credentials,
      isHeld,
      connectTimeoutMs: http.connectionTimeout,
      totalTimeoutMs: http.timeout,
      maxConcurrent: limits.maxConcurrentRequests,
      permitFloor: permitFloor(limits.maxConcurrentRequests, lanes),
      largeConcurrentMax: Math.max(1, Math.floor(limits.maxConcurrentRequests / lanes * LARGE_SHARE)),
      retryDelayMs: http.retryDelay,
      retryIntervalMsMax: http.maxRetryInterval,
      outageGraceMs: http.outageGracePeriod,
      answerBytesMax: limits.maxApiPayloadSize,
    },
  };
}

function segmentBytes(spool: Config["spool"], lanes: number): number {
  return Math.min(
    spool.segmentSize,
    Math.floor(spool.envelopes.maxDiskSize / (SEGMENTS_PER_LANE_MIN * lanes)),
  );
}
