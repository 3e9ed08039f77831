/** `landfall credentials`: the identity of this node at its upstream. */
import { ConfigError } from "../config/config_error.ts";
import {
  credentialsPath,
  generateCredentials,
  keyPair,
  renderCredentials,
} from "../config/credentials_file.ts";
import { environmentSettings } from "../config/environment.ts";
import { DEFAULT_CONFIG_DIR } from "../config/load_config.ts";
import { loadCredentials } from "../config/load_credentials.ts";
import { type Credentials, ID_KIND } from "../config/schema/credentials.ts";
import { KeyError, PublicKey, SecretKey } from "../protocol/signature.ts";
import { type Command, EXIT, type Invocation, type System, UsageError } from "./command.ts";

const folderOf = ({ configDir }: Invocation): string => configDir ?? DEFAULT_CONFIG_DIR;

/** `landfall credentials generate` */
export const credentialsGenerateCommand: Command = {
  name: "credentials generate",
  about: "Make a new identity and write credentials.json",
  details:
    "An upstream knows a node by its id and public key. A new identity has to be made known there again.",
  flags: {
    overwrite: { about: "Replace an identity that is there" },
    stdout: { about: "Print it, write nothing" },
  },
  run(invocation, system) {
    const credentials = generateCredentials();
    if (invocation.flags.has("stdout")) {
      system.out(renderCredentials(credentials));
      return EXIT.ok;
    }
    const path = credentialsPath(folderOf(invocation));
    if (invocation.flags.has("overwrite")) system.writeSecret(path, renderCredentials(credentials));
    else writeNewCredentials(path, credentials, system);
    system.out(`Wrote ${path}\n${described(credentials)}`);
    return EXIT.ok;
  },
};

/** Writes a file that must not exist. */
export function writeNewCredentials(path: string, credentials: Credentials, system: System): void {
  try {
    system.writeNew(path, renderCredentials(credentials));
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    throw new Error(`${path} exists already and was left alone; --overwrite replaces it`);
  }
}

/** `landfall credentials show` */
export const credentialsShowCommand: Command = {
  name: "credentials show",
  about: "Show id and public key, as file and environment say; never the secret key",
  run(invocation, system) {
    const credentials = inForce(invocation, system);
    if (credentials === null) throw new Error(`there is no ${credentialsPath(folderOf(invocation))}`);
    system.out(described(credentials));
    return EXIT.ok;
  },
};

/** `landfall credentials set` */
export const credentialsSetCommand: Command = {
  name: "credentials set",
  about: "Write credentials.json from keys that are there",
  details:
    "What no flag says is asked for. Without a public key the one that belongs to the secret key is taken.\n" +
    "Prefer the question to --secret-key: other users of the machine can see command lines.",
  flags: {
    id: { short: "i", value: "UUID", about: 'Id of this node, or "random"' },
    "public-key": { short: "p", value: "KEY", about: "Public key of this node" },
    "secret-key": { short: "s", value: "KEY", about: "Secret key of this node" },
  },
  run(invocation, system) {
    const path = credentialsPath(folderOf(invocation));
    const credentials = stated(invocation, system);
    system.writeSecret(path, renderCredentials(credentials));
    system.out(`Wrote ${path}\n${described(credentials)}`);
    return EXIT.ok;
  },
};

/** `landfall credentials remove` */
export const credentialsRemoveCommand: Command = {
  name: "credentials remove",
  about: "Delete credentials.json",
  flags: { yes: { short: "y", about: "Do not ask" } },
  run(invocation, system) {
    const path = credentialsPath(folderOf(invocation));
    if (!invocation.flags.has("yes")) {
      const answer = system.confirm(`Delete ${path}? The upstream will not know this node any more.`);
      if (answer === null) throw new UsageError("credentials remove needs --yes when nobody can be asked");
      if (!answer) return EXIT.failure;
    }
    try {
      system.remove(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new Error(`there is no ${path}`);
    }
    system.out(`Deleted ${path}\n`);
    return EXIT.ok;
  },
};

function inForce(invocation: Invocation, { sources }: System): Credentials | null {
  const { settings } = environmentSettings(sources);
  const { value, problems } = loadCredentials(folderOf(invocation), settings, sources);
  if (problems.length > 0) throw new ConfigError(problems);
  return value;
}

function stated({ flags }: Invocation, system: System): Credentials {
  const answer = (name: string, question: string): string => {
    const text = flags.get(name) ?? system.ask(question);
    if (text === null) throw new UsageError(`credentials set needs --${name} when nobody can be asked`);
    return text.trim();
  };
  const pair = keyPair(readKey("secret-key", () => SecretKey.parse(answer("secret-key", "Secret key"))));
  const publicKey = flags.get("public-key");
  if (publicKey !== undefined) {
    const { text } = readKey("public-key", () => PublicKey.parse(publicKey));
    if (text !== pair.publicKey) throw new UsageError("--public-key does not belong to --secret-key");
  }
  const id = answer("id", 'Id of this node (or "random")');
  if (id === "random") return { id: crypto.randomUUID(), ...pair };
  const read = ID_KIND.read(id);
  if (read === undefined) throw new UsageError(`--id ${ID_KIND.rule}, or "random"`);
  return { id: read, ...pair };
}

function readKey<T>(flag: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof KeyError) throw new UsageError(`--${flag} ${error.message}`);
    throw error;
  }
}

function described({ id, publicKey }: Credentials): string {
  return `id:         ${id}\npublic key: ${publicKey}\n`;
}
