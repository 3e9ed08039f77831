/**
 * The world on the loopback: an origin, nodes in its PoPs, lines of the right length between all of them and from every city
 * to both. Everything is a process of its own, as far as possible with two cores.
 */
import { freePorts, NodeProcess } from "../../support/node_process.ts";
import { TEST_CERTIFICATE, TEST_KEY, TEST_ROOT } from "../../support/test_certificate.ts";
import { runScript } from "../support/bench_node.ts";
import type { Child } from "../support/contender.ts";
import { backboneMs, nearestPops, type Place, roundTripMs, type WorldMap } from "./world_map.ts";

/** The two ways of an event: straight to the origin, and to the nearest node that is up. */
export const WAYS = ["direct", "pop"] as const;

/** One of them. */
export type Way = typeof WAYS[number];

/** A line of the network. */
export interface Line {
  readonly number: number;
  /** Where it is entered. */
  readonly port: number;
}

/** A city whose clients send to a project of their own. */
export interface Site {
  readonly city: Place;
  readonly projectId: number;
  readonly lines: Readonly<Record<Way, Line>>;
}

interface Pop {
  readonly place: Place;
  readonly node: NodeProcess;
  readonly tlsPort: number;
  readonly upstream: Line;
  isUp: boolean;
}

/** Everything that runs. */
export class World {
  readonly sites: Site[] = [];
  readonly #pops: Pop[] = [];
  readonly #network: Child = runScript("../world/network.ts");
  readonly #origin: Child;
  #originPort = 0;
  #folder = "";

  private constructor(readonly map: WorldMap) {
    this.#origin = runScript("../world/origin.ts", String(map.model.originMs));
  }

  /** Starts the origin and all nodes, and draws the lines. */
  static async start(map: WorldMap): Promise<World> {
    const world = new World(map);
    try {
      await world.#build();
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
    return world;
  }

  /** DSN of a site's project, at whatever it sends to. */
  dsn({ projectId, lines }: Site, way: Way): string {
    return `https://0123456789abcdef0123456789abcdef@127.0.0.1:${lines[way].port}/${projectId}`;
  }

  /** The PoP that a city is sent to now. */
  popOf(city: Place): Place {
    return this.#nearestUp(city).place;
  }

  /** Round trip of a line as it is now, ms. */
  roundTripMs({ city }: Site, way: Way): number {
    return roundTripMs(this.map.model, city, way === "direct" ? this.map.origin : this.popOf(city));
  }

  /** Ports with TLS of all nodes, without a line before them. */
  get nodePorts(): number[] {
    return this.#pops.map(({ tlsPort }) => tlsPort);
  }

  /** Ids of events in the order in which the origin took them. @throws Error when it was asked what it does not expect */
  async arrived(): Promise<string[]> {
    const { ids, unexpected } = JSON.parse(await this.#origin.ask("ids"));
    if (unexpected.length > 0) throw new Error(`The origin did not expect ${unexpected.join(", ")}`);
    return ids;
  }

  /** How many connections a site has opened. */
  async connections({ lines }: Site, way: Way): Promise<number> {
    return Number(await this.#command("connections", lines[way].number));
  }

  /** Ends the line between a PoP and the origin. */
  async isolate(name: string): Promise<void> {
    await this.#command("cut", this.#pop(name).upstream.number);
  }

  /** Ends a PoP's node as a power failure would; clients are still sent there. */
  async kill(name: string): Promise<void> {
    await this.#pop(name).node.kill();
  }

  /** Sends clients of a PoP to the next one. */
  async withdraw(name: string): Promise<void> {
    this.#pop(name).isUp = false;
    await this.#route();
  }

  /** Starts a PoP's node again on its disk, mends its line, and sends clients there once it is ready. */
  async restore(name: string): Promise<void> {
    const pop = this.#pop(name);
    await this.#command("lead", pop.upstream.number, this.#backboneMs(pop.place), this.#originPort);
    await pop.node.startAgain();
    pop.isUp = true;
    await this.#route();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { node } of this.#pops) await node[Symbol.asyncDispose]();
    await this.#network.stop();
    await this.#origin.stop();
    if (this.#folder) await Deno.remove(this.#folder, { recursive: true });
  }

  async #build(): Promise<void> {
    const { pops, cities } = this.map;
    this.#originPort = Number(await this.#origin.line());
    this.#folder = await Deno.makeTempDir({ prefix: "landfall-world-" });
    await Deno.writeTextFile(`${this.#folder}/cert.pem`, TEST_CERTIFICATE);
    await Deno.writeTextFile(`${this.#folder}/key.pem`, TEST_KEY);
    for (const place of pops) this.#pops.push(await this.#startPop(place));
    for (const [index, city] of cities.entries()) {
      const { tlsPort } = this.#nearestUp(city);
      const direct = await this.#open(roundTripMs(this.map.model, city, this.map.origin), this.#originPort);
      const pop = await this.#open(roundTripMs(this.map.model, city, this.popOf(city)), tlsPort);
      this.sites.push({ city, projectId: index + 1, lines: { direct, pop } });
    }
  }

  async #startPop(place: Place): Promise<Pop> {
    const upstream = await this.#open(this.#backboneMs(place), this.#originPort);
    const [tlsPort] = freePorts(1);
    const node = await NodeProcess.start({
      upstream: "https://localhost/",
      config: {
        relay: {
          tls_port: tlsPort,
          tls_cert_path: `${this.#folder}/cert.pem`,
          tls_key_path: `${this.#folder}/key.pem`,
        },
        upstreams: {
          default: {
            url: "https://localhost/",
            endpoints: [{ address: `127.0.0.1:${upstream.port}` }],
            probe_interval: "1s",
            tls: { ca: TEST_ROOT },
          },
        },
        logging: { level: "error" },
      },
    });
    return { place, node, tlsPort: tlsPort!, upstream, isUp: true };
  }

  async #route(): Promise<void> {
    for (const site of this.sites) {
      const roundTrip = this.roundTripMs(site, "pop");
      await this.#command("lead", site.lines.pop.number, roundTrip, this.#nearestUp(site.city).tlsPort);
    }
  }

  #nearestUp(city: Place): Pop {
    for (const { name } of nearestPops(this.map, city)) {
      const pop = this.#pop(name);
      if (pop.isUp) return pop;
    }
    throw new Error("No PoP is up");
  }

  #pop(name: string): Pop {
    const pop = this.#pops.find(({ place }) => place.name === name);
    if (!pop) throw new Error(`No PoP in ${name}`);
    return pop;
  }

  #backboneMs(place: Place): number {
    return backboneMs(this.map.model, place, this.map.origin);
  }

  async #open(roundTrip: number, port: number): Promise<Line> {
    const [number, entrance] = JSON.parse(await this.#command("open", roundTrip, port));
    return { number, port: entrance };
  }

  #command(verb: string, ...numbers: number[]): Promise<string> {
    return this.#network.ask(JSON.stringify([verb, ...numbers]));
  }
}
