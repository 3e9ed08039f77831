const PROJECT_KEY = /^[!-~]{32}$/;
const U64_MAX = 2n ** 64n - 1n;

/**
 * Whether `text` can be a project's public key: 32 visible ASCII characters (ingestion reference, section 2).
 *
 * Hex is not asked for, because Relay does not; control characters are refused, because the key goes into a header.
 */
export function isProjectKey(text: string): boolean {
  return PROJECT_KEY.test(text);
}

/** The canonical decimal spelling of an unsigned 64-bit project id; `null` for any other text. */
export function canonicalProjectId(text: string): string | null {
  const digits = /^\+?0*(\d{1,20})$/.exec(text)?.[1];
  if (digits === undefined) return null;
  return digits.length < 20 || BigInt(digits) <= U64_MAX ? digits : null;
}
