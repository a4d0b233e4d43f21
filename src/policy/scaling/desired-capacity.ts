import type { MergedDemand } from './merged-demand.ts';
import type { VersionMemory, Wish } from './scaling-memory.ts';
import type { ScalingSettings } from './scaling-settings.ts';
import type { ScalingDeployment } from './scaling-view.ts';

/** Times what is there that fewer than three witnesses may ask for at once: a crowd of ten times is still believed of one. */
const MAX_GROWTH_UNWITNESSED = 10;

/** Witnesses from which on growth has no bound but the publisher's. */
const ENOUGH_WITNESSES = 3;

/** Least share of a replica that is meant to be used, however tight the objective. */
const MIN_UTILISATION = 0.1;

/** Times what a panic window shows that it is expected to show soon at most. */
const MAX_AHEAD = 1.5;

/** Standard deviations of what a panic window counts that are taken off where it rules without a panic. */
const SHOWN_DEVIATIONS = 3;

/** Slices of a down-delay in which the most that was wanted is kept. */
const WISH_SLICES = 10;

/** What a version is to have, in requests a second and in the least number of replicas. */
export interface DesiredCapacity {
  /** Wanted now: replicas are made for it. */
  readonly wantedPerS: number;
  /** The most that was wanted within the down-delay: replicas stay for it. */
  readonly keptPerS: number;
  /** Replicas below which there are never fewer, whatever is asked for. */
  readonly floor: number;
  /** While the panic window rules, and until a stable window after it did. */
  readonly panic: boolean;
  readonly memory: VersionMemory;
}

export interface DesiredInput {
  readonly demand: MergedDemand;
  /** Requests a second that ready replicas can do. */
  readonly readyPerS: number;
  /** Replicas, ready or loading. */
  readonly have: number;
  readonly deployment: ScalingDeployment;
  readonly memory: VersionMemory;
  /** Whether somebody said within a recruit interval that replicas are lacking. */
  readonly recruited: boolean;
}

/**
 * Desired capacity = demand ÷ target utilisation, by the stable window; by the panic window while that asks for more than
 * `panicThreshold` times what is ready, and then the most of the whole panic, so that nothing shrinks in it.
 *
 * @see Knative Serving, "Autoscaling", `pkg/autoscaler/scaling/autoscaler.go`
 */
export function desiredCapacity(
  { demand, readyPerS, have, deployment, memory, recruited }: DesiredInput,
  settings: ScalingSettings,
  nowMs: number,
): DesiredCapacity {
  const utilisation = targetUtilisation(deployment, demand.serviceTimeMs, settings);
  const shownPerS = recruited ? surelyPerS(demand.panicPerS, settings.panicWindowMs) : 0;
  const stablePerS = Math.max(demand.stablePerS, shownPerS) / utilisation;
  const expectedPerS = aheadOf(demand.panicPerS, memory, settings.panicWindowMs, nowMs);
  const panicPerS = (inPanic(memory, nowMs) ? expectedPerS : demand.panicPerS) / utilisation;
  const begins = panicPerS > 0 && panicPerS >= settings.panicThreshold * readyPerS;
  const panicUntilMs = begins ? nowMs + settings.stableWindowMs : memory.panicUntilMs;
  const panic = nowMs < panicUntilMs;
  const mostPerS = panic ? Math.max(memory.panicPerS, stablePerS, panicPerS) : 0;
  const bound = growthBound(demand.witnesses, readyPerS);
  const wantedPerS = Math.min(bound, panic ? mostPerS : stablePerS);
  const askedAtMs = demand.asked ? nowMs : memory.askedAtMs;
  const wishes = remember(memory.wishes, wantedPerS, settings.downDelayMs, nowMs);
  const idleMs = nowMs - askedAtMs;
  const idle = deployment.minReplicas === 0 && idleMs >= deployment.scaleToZeroDelayMs;
  // The last one stays for its delay; where there is none it takes somebody who asks.
  const lastOne = !idle && (have > 0 || demand.asked) ? 1 : 0;
  return {
    wantedPerS: idle ? 0 : wantedPerS,
    keptPerS: idle ? 0 : Math.max(wantedPerS, ...wishes.map(({ requestsPerS }) => requestsPerS)),
    floor: deployment.minReplicas > 0 ? deployment.minReplicas : lastOne,
    panic,
    memory: {
      ...{ ...memory, panicUntilMs, panicPerS: Math.min(bound, mostPerS), askedAtMs, wishes },
      seen: { atMs: nowMs, requestsPerS: demand.panicPerS },
    },
  };
}

/**
 * The share of a replica that is meant to be used: the general one, or less where the objective leaves little time to wait.
 * Of an M/M/1 queue at utilisation ρ the mean time in it is `s / (1 − ρ)`, which meets an objective L at `ρ = 1 − s / L`.
 */
export function targetUtilisation(
  { latencyObjectiveMs }: Pick<ScalingDeployment, 'latencyObjectiveMs'>,
  serviceTimeMs: number | null,
  settings: Pick<ScalingSettings, 'targetUtilisation'>,
): number {
  if (latencyObjectiveMs === null || serviceTimeMs === null) return settings.targetUtilisation;
  const atObjective = 1 - serviceTimeMs / latencyObjectiveMs;
  return Math.min(settings.targetUtilisation, Math.max(MIN_UTILISATION, atObjective));
}

function inPanic({ panicUntilMs }: VersionMemory, nowMs: number): boolean {
  return nowMs < panicUntilMs;
}

/**
 * What a panic window will show half a window on, if it goes on as since the last look. A crowd that comes at once fills the
 * window bit by bit, and what is known late is loaded late.
 */
function aheadOf(
  panicPerS: number,
  { seen }: VersionMemory,
  panicWindowMs: number,
  nowMs: number,
): number {
  const passedMs = nowMs - (seen?.atMs ?? nowMs);
  if (seen === null || passedMs <= 0) return panicPerS;
  const grownPerS = Math.max(0, panicPerS - seen.requestsPerS);
  const aheadPerS = (grownPerS * panicWindowMs) / 2 / passedMs;
  return Math.min(MAX_AHEAD * panicPerS, panicPerS + aheadPerS);
}

/**
 * Requests a second that so many counted in a window speak for, less three standard deviations of what chance adds: who comes for noise
 * leaves for noise. Who has just been called
 * on knows nothing of holders that were lost: what they were asked for the others are asked for now, and a stable window shows it
 * a minute late.
 */
function surelyPerS(perS: number, windowMs: number): number {
  const counted = (perS * windowMs) / 1_000;
  return counted === 0 ? 0 : Math.max(0, perS * (1 - SHOWN_DEVIATIONS / Math.sqrt(counted)));
}

function growthBound(witnesses: number, readyPerS: number): number {
  if (witnesses >= ENOUGH_WITNESSES || readyPerS === 0) return Number.POSITIVE_INFINITY;
  return MAX_GROWTH_UNWITNESSED * readyPerS;
}

/** The most of each slice; what is older than the down-delay is dropped. */
function remember(
  wishes: readonly Wish[],
  requestsPerS: number,
  downDelayMs: number,
  nowMs: number,
): readonly Wish[] {
  const sliceMs = downDelayMs / WISH_SLICES;
  const kept = wishes.filter(({ atMs }) => nowMs - atMs < downDelayMs);
  const last = kept.at(-1);
  if (last === undefined || nowMs - last.atMs >= sliceMs)
    return [...kept, { atMs: nowMs, requestsPerS }];
  if (requestsPerS <= last.requestsPerS) return kept;
  return [...kept.slice(0, -1), { ...last, requestsPerS }];
}
