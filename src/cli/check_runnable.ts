import { type Problem } from "../config/config_error.ts";
import type { LoadedConfig } from "../config/load_config.ts";

/** What keeps a valid configuration from being run by this version. */
export function checkRunnable({ config, credentials, effective }: LoadedConfig): Problem[] {
  if (config.relay.mode !== "managed" || credentials !== null) return [];
  const origin = effective.find(({ key }) => key.key === "relay.mode")!.origin;
  return [{
    origin,
    key: "relay.mode",
    rule: 'mode managed needs an identity; "landfall credentials generate" makes one',
    received: `"managed"`,
  }];
}
