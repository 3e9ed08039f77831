import { runUpstreamModel } from "./upstream_model.ts";

Deno.test("upstream policies: what must hold does, in random schedules of trouble", () => {
  for (let seed = 1; seed <= 200; seed++) runUpstreamModel(seed);
});
