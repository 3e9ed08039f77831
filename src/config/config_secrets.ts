/** What of a configuration must never be shown, so that logs can be kept clean of it. */
import type { LoadedConfig } from "./load_config.ts";
import { SECRET_NAMES } from "./redact.ts";

/** Every secret value: of secret keys, of names that stand for one, passwords in URLs, and the node's own key. */
export function configSecrets({ config, effective, credentials }: LoadedConfig): string[] {
  const secrets = new Set<string>();
  for (const { key, value } of effective) {
    if (key.effect !== "none") collect(value, key.secret, secrets);
  }
  // Those that were read in another way, e.g. with their variables filled in.
  collect(config, false, secrets);
  if (credentials !== null) secrets.add(credentials.secretKey);
  return [...secrets];
}

/** How a node logs: `logging`, and what must not show. */
export function logOptions(loaded: LoadedConfig): LoadedConfig["config"]["logging"] & { secrets: string[] } {
  return { ...loaded.config.logging, secrets: configSecrets(loaded) };
}

function collect(value: unknown, isSecret: boolean, secrets: Set<string>): void {
  if (typeof value === "string") {
    if (isSecret) secrets.add(value);
    const password = value.includes("://") ? URL.parse(value)?.password : undefined;
    if (password) secrets.add(password).add(decoded(password));
  } else if (typeof value === "object" && value !== null) {
    for (const [name, inner] of Object.entries(value)) {
      collect(inner, isSecret || SECRET_NAMES.has(name), secrets);
    }
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
