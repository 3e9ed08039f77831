/** `credentials.json`: how an identity is made and written down (control reference, sections 2 and 3). */
import { SecretKey } from "../protocol/signature.ts";
import type { Credentials } from "./schema/credentials.ts";

/** Path of the file in a configuration folder. */
export function credentialsPath(configDir: string): string {
  return `${configDir}/credentials.json`;
}

/** A new identity: random id, random keys. */
export function generateCredentials(): Credentials {
  return { id: crypto.randomUUID(), ...keyPair(SecretKey.generate()) };
}

/** Both halves of a key as the file holds them. */
export function keyPair(secret: SecretKey): Pick<Credentials, "publicKey" | "secretKey"> {
  return { publicKey: secret.publicKey.text, secretKey: secret.toText() };
}

/** Text of the file. */
export function renderCredentials({ id, publicKey, secretKey }: Credentials): string {
  return `${JSON.stringify({ secret_key: secretKey, public_key: publicKey, id }, null, 2)}\n`;
}
