import { assertEquals } from "@std/assert";
import { Hangups } from "../../../src/cli/hangups.ts";
import { until } from "../../support/until.ts";

Deno.test("Hangups: signals before anybody can act on them count once, later ones each", async () => {
  let seen = 0;
  // Tells when the signals have been delivered to this process.
  const onSignal = (): void => void seen++;
  const hangups = new Hangups();
  Deno.addSignalListener("SIGHUP", onSignal);
  try {
    let reloads = 0;
    for (let sent = 1; sent <= 2; sent++) {
      Deno.kill(Deno.pid, "SIGHUP");
      await until("the signal has arrived", () => seen === sent);
    }
    hangups.handle(() => reloads++);
    assertEquals(reloads, 1);
    Deno.kill(Deno.pid, "SIGHUP");
    await until("it is handled", () => reloads === 2);
  } finally {
    hangups.close();
    Deno.removeSignalListener("SIGHUP", onSignal);
  }
});
