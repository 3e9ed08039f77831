/**
 * Where everybody is, and how long a packet takes there and back: `world.json` has the places, the figures of the model and
 * where they come from.
 */
import world from "./world.json" with { type: "json" };

/** A place on Earth, in degrees. */
export interface Place {
  readonly name: string;
  readonly continent: string;
  readonly latitude: number;
  readonly longitude: number;
}

/** What the model of the network is made of. */
export interface NetworkModel {
  /** Kilometres that light goes in a millisecond, in fibre. */
  readonly fibreKmPerMs: number;
  /** Length of a cable's way over the great-circle distance. */
  readonly routeFactor: number;
  /** Round trip over a client's own access. */
  readonly lastMileMs: number;
  /** How long the origin works on a request. */
  readonly originMs: number;
}

/** Clients, PoPs and the origin. */
export interface WorldMap {
  readonly model: NetworkModel;
  readonly origin: Place;
  readonly pops: readonly Place[];
  readonly cities: readonly Place[];
}

/** The world of `world.json`. */
export const EARTH: WorldMap = world;

/** Public figures the model is held against; see `world.json`. */
export const CHECKS: readonly {
  readonly what: string;
  /** A city. */
  readonly from: string;
  /** A city; the origin when absent. */
  readonly to?: string;
  /** Round trips that the figure contains; one when absent, and the origin's work otherwise. */
  readonly roundTrips?: number;
  /** Least and most. */
  readonly publicMs: readonly number[];
}[] = world.model.checks;

const EARTH_RADIUS_KM = 6371;

/** Great-circle distance (haversine). */
export function distanceKm(a: Place, b: Place): number {
  const radians = (degrees: number): number => degrees * Math.PI / 180;
  const half = (from: number, to: number): number => Math.sin(radians(to - from) / 2) ** 2;
  const along = Math.cos(radians(a.latitude)) * Math.cos(radians(b.latitude));
  const chord = half(a.latitude, b.latitude) + along * half(a.longitude, b.longitude);
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.sqrt(chord));
}

/** Round trip between two data centres, ms. */
export function backboneMs({ fibreKmPerMs, routeFactor }: NetworkModel, a: Place, b: Place): number {
  return 2 * distanceKm(a, b) * routeFactor / fibreKmPerMs;
}

/** Round trip between a client and a data centre, ms. */
export function roundTripMs(model: NetworkModel, client: Place, server: Place): number {
  return model.lastMileMs + backboneMs(model, client, server);
}

/** The PoPs, the nearest to a client first: where geographic routing sends it, and where next. */
export function nearestPops({ model, pops }: WorldMap, client: Place): Place[] {
  return pops.toSorted((a, b) => roundTripMs(model, client, a) - roundTripMs(model, client, b));
}
