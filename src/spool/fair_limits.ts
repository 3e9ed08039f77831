/** Bounds of a walk that lets projects take turns (`fair_walk.ts`). */
export interface FairLimits {
  /** Records of one project in memory. */
  readonly perProject: number;
  /** Records in memory, and their bytes. */
  readonly heldMax: number;
  readonly heldBytesMax: number;
  /** How far reading goes ahead: bytes of log put off, and the stretches they make. */
  readonly putOffBytesMax: number;
  readonly stretchesMax: number;
}

/** What a lane uses. */
export const FAIR_LIMITS: FairLimits = {
  perProject: 64,
  heldMax: 1024,
  heldBytesMax: 8 * 1024 * 1024,
  putOffBytesMax: 256 * 1024 * 1024,
  stretchesMax: 100_000,
};
