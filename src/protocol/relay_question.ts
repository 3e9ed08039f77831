/** What relays downstream ask a node (control reference, section 4). Plain data: it is posted between isolates. */
export interface RelayQuestion {
  readonly route: "project_configs" | "public_keys" | "outcomes" | "metrics";
  /** Values of the headers that say who asks; null when they are missing. */
  readonly relayId: string | null;
  readonly signature: string | null;
  /** Decoded. */
  readonly body: Uint8Array;
}

/** What it answers: a status and JSON. */
export interface RelayAnswer {
  readonly status: number;
  readonly body: string;
}
