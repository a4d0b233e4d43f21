/** Milliseconds to wait after `times` failures before the last one: `firstMs`, doubled with each, and never more than `maxMs`. */
export function doubledMs(times: number, firstMs: number, maxMs: number): number {
  return Math.min(maxMs, firstMs * 2 ** Math.max(0, times));
}
