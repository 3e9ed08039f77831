import { assertEquals } from "@std/assert";
import { ServiceManager } from "../../../src/cli/service_manager.ts";
import { ManualClock } from "../../support/manual_clock.ts";

function managed(env: Readonly<Record<string, string>>) {
  const clock = new ManualClock();
  const sent: [string, string][] = [];
  const send = (path: string, message: string) => {
    sent.push([path, message.split("\n")[0]!]);
    return Promise.resolve();
  };
  return { clock, sent, manager: new ServiceManager((name) => env[name], clock, 42, send) };
}

Deno.test("ServiceManager: signs of life come at half the time given, until it is closed", async () => {
  const { clock, sent, manager } = managed({
    NOTIFY_SOCKET: "@m",
    WATCHDOG_USEC: "30000000",
    WATCHDOG_PID: "42",
  });
  manager.ready();
  await clock.advance(45_000);
  manager.stopping();
  await clock.advance(15_000);
  manager.close();
  await clock.advance(60_000);
  const words = sent.map(([, message]) => message);
  assertEquals(words, ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1", "STOPPING=1", "WATCHDOG=1"]);
  assertEquals(new Set(sent.map(([path]) => path)), new Set(["\0m"]));
});

Deno.test("ServiceManager: without a socket nothing is said, and another process's watchdog is not fed", async () => {
  const alone = managed({ WATCHDOG_USEC: "1000000" });
  alone.manager.ready();
  await alone.clock.advance(5_000);
  alone.manager.close();
  assertEquals(alone.sent, []);

  const other = managed({ NOTIFY_SOCKET: "/run/m", WATCHDOG_USEC: "1000000", WATCHDOG_PID: "7" });
  other.manager.ready();
  await other.clock.advance(5_000);
  other.manager.close();
  assertEquals(other.sent, [["/run/m", "READY=1"]]);
});
