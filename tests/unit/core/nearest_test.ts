import { assertEquals } from "@std/assert";
import { nearestName } from "../../../src/core/nearest.ts";

const NAMES = ["max_event_size", "max_envelope_size", "upstream", "mode", "host", "port"];

for (
  const [written, meant] of [
    ["max_evnet_size", "max_event_size"],
    ["max-event-size", "max_event_size"],
    ["MaxEnvelopeSize", "max_envelope_size"],
    ["upstraem", "upstream"],
    ["mod", "mode"],
    ["prot", "port"],
    ["banana", undefined],
    ["", undefined],
  ] as const
) {
  Deno.test(`nearestName: ${JSON.stringify(written)} was meant to be ${meant}`, () => {
    assertEquals(nearestName(written, NAMES), meant);
  });
}
