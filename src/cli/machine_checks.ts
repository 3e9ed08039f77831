/** Whether this machine has what a configuration asks of it: room for the spool, and free ports. */
import type { Config } from "../config/config.ts";
import { spoolBytes } from "../spool/spool_folder.ts";
import { type Storage, StorageError } from "../spool/storage.ts";
import type { System } from "./command.ts";
import { CHECK_MS_MAX, type OnlineCheck } from "./online_check.ts";
import { readableSize } from "./readable.ts";
import { requestStatus } from "./request_status.ts";

/** The checks. None of them leaves anything behind. */
export function machineChecks(config: Config, system: System): OnlineCheck[] {
  return [...spoolChecks(config, system.storage), ...portChecks(config, system)];
}

function spoolChecks({ spool: { envelopes } }: Config, storage: Storage): OnlineCheck[] {
  const space: OnlineCheck = {
    name: "spool: space",
    run: async () => {
      const folder = await existing(storage, envelopes.path);
      const free = await storage.freeBytes(folder);
      const used = folder === envelopes.path ? await usedBytes(storage, folder) : 0;
      const said = `${readableSize(free)} free, ${readableSize(used)} used`;
      if (free + used >= envelopes.maxDiskSize) return said;
      throw new Error(
        `${said}: less than spool.envelopes.max_disk_size, ${readableSize(envelopes.maxDiskSize)}`,
      );
    },
  };
  return [{
    name: "spool: writable",
    run: async () => {
      const folder = await existing(storage, envelopes.path);
      const path = `${folder}/.check-${crypto.randomUUID()}`;
      (await storage.open(path, "create")).close();
      await storage.remove(path);
      return folder === envelopes.path ? folder : `${envelopes.path} can be made in ${folder}`;
    },
    then: [space],
  }];
}

/** The folder, or the nearest one above it that is there. */
async function existing(storage: Storage, folder: string): Promise<string> {
  for (let path = folder;; path = parentOf(path)) {
    try {
      await storage.list(path);
      return path;
    } catch (error) {
      if (!StorageError.isNotFound(error) || parentOf(path) === path) throw error;
    }
  }
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash > 0 ? path.slice(0, slash) : path.startsWith("/") ? "/" : ".";
}

async function usedBytes(storage: Storage, folder: string): Promise<number> {
  const partitions = (await storage.list(folder)).filter(({ name, isFolder }) =>
    isFolder && /^p\d+$/.test(name)
  );
  return await spoolBytes(storage, partitions.map(({ name }) => `${folder}/${name}`));
}

interface Place {
  readonly name: string;
  readonly hostname: string;
  readonly port: number;
  /** Route by which a node of ours shows that it is there; null when that cannot be asked. */
  readonly healthPath: string | null;
}

const NODE_HEALTH = "/api/relay/healthcheck/live/";

function portChecks({ relay, admin }: Config, system: System): OnlineCheck[] {
  const places: Place[] = [
    { name: "relay.port", hostname: relay.host, port: relay.port, healthPath: NODE_HEALTH },
  ];
  if (relay.tlsPort !== null) {
    places.push({ name: "relay.tls_port", hostname: relay.host, port: relay.tlsPort, healthPath: null });
  }
  const { internalHost, internalPort } = relay;
  const isApart = internalPort !== null && (internalPort !== relay.port || internalHost !== relay.host);
  if (isApart) {
    const hostname = internalHost ?? relay.host;
    places.push({ name: "relay.internal_port", hostname, port: internalPort, healthPath: NODE_HEALTH });
  }
  if (admin.enabled && admin.socket === null) {
    places.push({ name: "admin.port", hostname: admin.host, port: admin.port, healthPath: "/health/live" });
  }
  return places.map((place) => ({
    name: `${place.name}: free`,
    run: () => isFree(place, system),
  }));
}

async function isFree({ hostname, port, healthPath }: Place, { clock }: System): Promise<string> {
  try {
    Deno.listen({ hostname, port }).close();
    return `${hostname}:${port}`;
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse) || healthPath === null) throw error;
    const host = hostname === "0.0.0.0" ? "127.0.0.1" : hostname === "::" ? "::1" : hostname;
    const status = await requestStatus({ host, port }, healthPath, CHECK_MS_MAX, clock).catch(() => 0);
    if (status === 200) return `${hostname}:${port} is taken by a node that runs`;
    throw new Error(`${hostname}:${port} is in use`, { cause: error });
  }
}
