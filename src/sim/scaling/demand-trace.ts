import { InvalidInputError } from '../../../protocols/errors.ts';

/** Requests a second that are asked for at a moment. */
export type DemandTrace = (atMs: number) => number;

/** As much at every moment. */
export function steadyTrace(perS: number): DemandTrace {
  return () => perS;
}

/** From one level to another at a moment, and back at another. */
export function stepTrace(
  perS: number,
  then: { readonly perS: number; readonly fromMs: number; readonly untilMs: number },
): DemandTrace {
  return (atMs) => (atMs >= then.fromMs && atMs < then.untilMs ? then.perS : perS);
}

/** Day and night: from the mean by `swing`, a share of it, up and down within a day. */
export function diurnalTrace(
  perS: number,
  {
    swing,
    dayMs,
    phaseMs = 0,
  }: { readonly swing: number; readonly dayMs: number; readonly phaseMs?: number },
): DemandTrace {
  return (atMs) => perS * (1 - swing * Math.cos((2 * Math.PI * (atMs + phaseMs)) / dayMs));
}

/** The share of all demand that each of so many versions has, the most wanted first: 1 ÷ rank^exponent. */
export function zipfShares(versions: number, exponent: number): number[] {
  const weights = Array.from({ length: versions }, (_, rank) => 1 / (rank + 1) ** exponent);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/**
 * Reads a trace: on each line the second from which, and the requests a second that are asked for from then on; what begins
 * with `#` is for the reader.
 *
 * @throws {ERR_INVALID_INPUT} when a line is neither, or seconds go back; the message names the line.
 */
export function parseTrace(text: string): DemandTrace {
  const fromMs: number[] = [];
  const perS: number[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [second, rate, ...rest] = line.trim().split(/\s+/).map(Number);
    const isWhole = second !== undefined && rate !== undefined && rest.length === 0;
    if (!isWhole || !(second >= 0) || !(rate >= 0) || !Number.isFinite(second + rate)) {
      throw new InvalidInputError(
        `line ${index + 1} of the trace is ${JSON.stringify(line.slice(0, 80))}, expected a second and requests a second`,
      );
    }
    if (second * 1_000 <= (fromMs.at(-1) ?? -1)) {
      throw new InvalidInputError(
        `line ${index + 1} of the trace is for second ${second}, expected a later one than on the line before`,
      );
    }
    fromMs.push(second * 1_000);
    perS.push(rate);
  }
  if (fromMs.length === 0) throw new InvalidInputError('trace has no line, expected at least one');
  return (atMs) => {
    let [low, high] = [0, fromMs.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((fromMs[middle] ?? 0) <= atMs) low = middle + 1;
      else high = middle;
    }
    return perS[low - 1] ?? 0;
  };
}
