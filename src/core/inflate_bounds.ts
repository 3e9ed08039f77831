import * as zlib from "node:zlib";

/** Whether `error` says that a decoder stopped at `maxOutputLength`. */
export function isOutputTooLarge(error: unknown): boolean {
  return (error as { code?: unknown }).code === "ERR_BUFFER_TOO_LARGE";
}

/** Whether this runtime's `node:zlib` stops at `maxOutputLength`; older ones ignore it, so callers count for themselves. */
export const OUTPUT_IS_BOUNDED: boolean = (() => {
  try {
    zlib.inflateSync(zlib.deflateSync(new Uint8Array(64)), { maxOutputLength: 8 });
    return false;
  } catch (error) {
    return isOutputTooLarge(error);
  }
})();
