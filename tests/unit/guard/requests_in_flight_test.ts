import { assertEquals } from "@std/assert";
import { RequestsInFlight } from "../../../src/guard/requests_in_flight.ts";

Deno.test("RequestsInFlight: bounds hold over lanes, and a refused request counts nowhere", () => {
  const buffers = RequestsInFlight.createBuffers(2);
  const limits = { total: 4, perAddress: 2, perProject: 3 };
  const one = new RequestsInFlight(buffers, 0, limits);
  const two = new RequestsInFlight(buffers, 1, limits);
  assertEquals([one.enter("a", "1", 0), two.enter("a", "1", 0), one.enter("a", "1", 0)], [
    null,
    null,
    "address",
  ]);
  assertEquals([one.enter("b", "1", 0), two.enter("c", "1", 0)], [null, "project"]);
  assertEquals([two.enter("c", "2", 0), two.enter("d", "3", 0)], [null, "total"]);
  // The request refused for its project left no trace with its address.
  two.leave("c", "2");
  one.leave("b", "1");
  assertEquals([one.enter("c", "4", 0), two.enter("c", "4", 0)], [null, null]);
});

Deno.test("RequestsInFlight: without an address or a project only the total counts", () => {
  const limits = { total: null, perAddress: 1, perProject: 1 };
  const flights = new RequestsInFlight(RequestsInFlight.createBuffers(1), 0, limits);
  assertEquals([flights.enter("", "", 0), flights.enter("", "", 0)], [null, null]);
  flights.leave("", "");
});

Deno.test("RequestsInFlight: what a lane had in flight when it died is forgotten with its replacement", () => {
  const buffers = RequestsInFlight.createBuffers(2);
  const limits = { total: 3, perAddress: 2, perProject: 2 };
  const dead = new RequestsInFlight(buffers, 0, limits);
  const other = new RequestsInFlight(buffers, 1, limits);
  assertEquals([dead.enter("a", "1", 0), other.enter("a", "1", 0)], [null, null]);
  const replacement = new RequestsInFlight(buffers, 0, limits);
  assertEquals([replacement.enter("a", "1", 0), replacement.enter("a", "1", 0)], [null, "address"]);
  // An answer of the old life never makes a count negative.
  replacement.leave("a", "1");
  replacement.leave("a", "1");
  assertEquals([replacement.enter("a", "1", 0), replacement.enter("a", "1", 0)], [null, "address"]);
});

Deno.test("RequestsInFlight: bounds that change while requests are under way neither lose nor invent any", () => {
  const none = { total: null, perAddress: null, perProject: null };
  const unbounded = new RequestsInFlight(RequestsInFlight.createBuffers(1), 0, none);
  // Not counted by address, so it must not be counted out there either.
  assertEquals(unbounded.enter("a", "1", 0), null);
  const bounded = unbounded.withLimits({ ...none, total: 3, perAddress: 2 });
  assertEquals([bounded.enter("a", "1", 0), bounded.enter("a", "1", 0)], [null, null]);
  assertEquals(bounded.enter("b", "1", 0), "total");
  unbounded.leave("a", "1");
  assertEquals([bounded.enter("a", "1", 0), bounded.enter("b", "1", 0)], ["address", null]);
  const freed = bounded.withLimits(none);
  assertEquals(freed.enter("a", "1", 0), null);
  freed.leave("a", "1");
  bounded.leave("a", "1");
  bounded.leave("a", "1");
  const again = freed.withLimits({ ...none, perAddress: 2 });
  assertEquals([1, 2, 3].map(() => again.enter("a", "1", 0)), [null, null, "address"]);
});
