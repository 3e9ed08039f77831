import type { z } from "zod";
import { field, restart, section } from "../config_field.ts";
import { base64url, uuid } from "../value_kind.ts";

const SEED_CHARS = 43;
const KEY_PAIR_CHARS = 86;

/** How ids of nodes are read. */
export const ID_KIND = uuid;

/** `credentials.json`: identity of this node at its upstream (control reference, sections 2 and 3). */
export const credentialsSchema = section({
  id: field(ID_KIND, {
    default: "",
    derived: true,
    ...restart("what is on disk was signed and fetched as this node"),
    about: "Id of this node",
  }),
  public_key: field(base64url(SEED_CHARS), {
    default: "",
    derived: true,
    ...restart("what is on disk was signed and fetched as this node"),
    about: "Ed25519 public key",
  }),
  secret_key: field(base64url(SEED_CHARS, KEY_PAIR_CHARS), {
    default: "",
    derived: true,
    ...restart("what is on disk was signed and fetched as this node"),
    about: "Ed25519 secret key, as seed or as seed and public key",
    secret: true,
  }),
});

/** Identity of this node. */
export type Credentials = z.output<typeof credentialsSchema>;
