/** A rate as nginx writes it. */
const RATE = /^([1-9]\d{0,6})\s*r\/([smh])$/;
const SECONDS = { s: 1, m: 60, h: 3600 } as const;

/**
 * Reads `100r/s`, `600r/m` or `1000r/h` into thousandths of a request per second, rounded down as nginx does.
 *
 * @throws {RangeError} it is none, or less than a thousandth of a request per second
 */
export function parseRequestRate(text: string): number {
  const [, count, unit] = RATE.exec(text) ?? [];
  const rate = Math.floor(Number(count) * 1000 / SECONDS[unit as keyof typeof SECONDS]);
  if (!(rate >= 1)) throw new RangeError(`not a rate: "${text}"`);
  return rate;
}
