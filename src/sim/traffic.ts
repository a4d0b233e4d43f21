import { exponential, uniform } from './random.ts';

/** A time for which a node does nothing, in milliseconds of the traffic. */
export interface Pause {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** What a node is capable of; clients find that out by themselves. */
export interface NodeSpec {
  readonly name: string;
  /** Milliseconds that a request of work 1 takes. */
  readonly serviceMs: number;
  /** In order, none overlapping another. */
  readonly pauses: readonly Pause[];
}

export interface Arrival {
  /** Milliseconds since the traffic began. */
  readonly atMs: number;
  /** Index of the client that asks. */
  readonly client: number;
  /** What it takes in service times: nobody but the oracle knows before it is done. */
  readonly work: number;
}

/** What is asked when: the same for every policy that is tried with it. */
export interface Traffic {
  readonly durationMs: number;
  /** Arrivals before this are there to be learnt from, and count nowhere. */
  readonly countedFromMs: number;
  /** In the order of time. */
  readonly arrivals: readonly Arrival[];
}

/** Bounds of the work of a request, uniform around 1: requests of one shape differ, not by much. */
export const WORK = [0.5, 1.5] as const;

export interface TrafficInit {
  readonly nodes: readonly NodeSpec[];
  /** Share of the nodes' capacity that is asked for. */
  readonly load: number;
  readonly clients: number;
  readonly warmUpMs: number;
  /** Milliseconds that count. */
  readonly countedMs: number;
}

/** Poisson arrivals, each from a client drawn at random. */
export function poissonTraffic(init: TrafficInit, random: () => number): Traffic {
  const { nodes, load, clients, warmUpMs, countedMs } = init;
  const durationMs = warmUpMs + countedMs;
  const capacity = nodes.reduce(
    (sum, node) => sum + workingMs(node, 0, durationMs) / node.serviceMs,
    0,
  );
  const meanMs = durationMs / (load * capacity);
  const arrivals: Arrival[] = [];
  for (
    let atMs = exponential(meanMs, random);
    atMs < durationMs;
    atMs += exponential(meanMs, random)
  ) {
    arrivals.push({
      atMs,
      client: Math.floor(random() * clients),
      work: uniform(...WORK, random),
    });
  }
  return { durationMs, countedFromMs: warmUpMs, arrivals };
}

/** Pauses at random: a mean time apart, each uniform between the bounds. */
export function randomPauses(
  untilMs: number,
  apartMs: number,
  [shortestMs, longestMs]: readonly [number, number],
  random: () => number,
): Pause[] {
  const pauses: Pause[] = [];
  for (let fromMs = exponential(apartMs, random); fromMs < untilMs; ) {
    const pause = { fromMs, untilMs: fromMs + uniform(shortestMs, longestMs, random) };
    pauses.push(pause);
    fromMs = pause.untilMs + exponential(apartMs, random);
  }
  return pauses;
}

/** When a node is done with so many milliseconds of work that it begins at a moment. */
export function endOf({ pauses }: NodeSpec, beginMs: number, workMs: number): number {
  let endMs = beginMs + workMs;
  for (const { fromMs, untilMs } of pauses) {
    if (untilMs <= beginMs) continue;
    if (fromMs >= endMs) break;
    endMs += untilMs - Math.max(fromMs, beginMs);
  }
  return endMs;
}

/** Milliseconds between two moments in which a node does not pause. */
export function workingMs({ pauses }: NodeSpec, fromMs: number, untilMs: number): number {
  const pausedMs = pauses.reduce(
    (sum, pause) =>
      sum + Math.max(0, Math.min(untilMs, pause.untilMs) - Math.max(fromMs, pause.fromMs)),
    0,
  );
  return untilMs - fromMs - pausedMs;
}
