import { totalPerS } from '../../../protocols/demand/index.ts';
import type { MergedDemand } from './merged-demand.ts';
import { isOverdue } from './replica-capacity.ts';
import type { VersionMemory } from './scaling-memory.ts';
import type { ScalingSettings } from './scaling-settings.ts';
import type { DemandReport, VersionView } from './scaling-view.ts';

/** Share of what is asked for that may be turned away before a cool-down ends: the odd request meets a full node by chance. */
const MAX_TURNED_AWAY = 0.01;

/**
 * When a replica last left memory of itself and those that stayed were enough. Whatever else takes one away ends the cool-down: one that
 * dies, or is called off by its operator and leaves too few behind, is no sign that there were too many.
 */
export function rememberSpared(
  { replicas }: VersionView,
  { holders, seen, sparedAtMs }: VersionMemory,
  isEnough: boolean,
  nowMs: number,
): number {
  const states = new Map(replicas.map(({ node, state }) => [node, state]));
  const went = [...holders].filter(([node, { atMs }]) => {
    return atMs === seen?.atMs && states.get(node) !== 'ready';
  });
  if (went.length === 0) return sparedAtMs;
  return isEnough && went.every(([node]) => states.get(node) === 'cold') ? nowMs : 0;
}

/**
 * Whether a shortage by count waits no more, though a replica that nobody needed has just left: a crowd came, that is the panic window shows
 * so many times what was wanted in the down-delay before, or those that stayed turn requests away or let them wait longer than the publisher
 * bears. What replicas can do is no sign: it is measured beside what else their nodes do, and swings by more than demand.
 */
export function isNeeded(
  version: VersionView,
  { panicPerS }: Pick<MergedDemand, 'panicPerS'>,
  { wishes }: Pick<VersionMemory, 'wishes'>,
  { panicThreshold }: Pick<ScalingSettings, 'panicThreshold'>,
): boolean {
  const keptPerS = Math.max(0, ...wishes.map(({ requestsPerS }) => requestsPerS));
  return panicPerS > panicThreshold * keptPerS || isPressed(version);
}

/** Whether holders turn requests away, or more run and wait than the publisher bears. */
function isPressed({ deployment, replicas, reports }: VersionView): boolean {
  const ready = new Set(replicas.filter(({ state }) => state === 'ready').map(({ node }) => node));
  const current = reports.filter((report) => !isOverdue(report) && ready.has(report.reporter));
  const sum = (of: (report: DemandReport) => number): number => {
    return current.reduce((total, report) => total + of(report), 0);
  };
  const turnedAwayPerS = sum(({ panic }) => panic.refusalsPerS + panic.coldMissesPerS);
  if (turnedAwayPerS > MAX_TURNED_AWAY * sum(({ panic }) => totalPerS(panic))) return true;
  if (sum(({ inFlight }) => inFlight) > deployment.targetInFlight * current.length) return true;
  const { latencyObjectiveMs } = deployment;
  if (latencyObjectiveMs === null) return false;
  // Little: of so many in flight one after another the last is answered after as many service times.
  const takesMs = sum(({ inFlight, serviceTimeMs }) => inFlight * (serviceTimeMs ?? 0));
  return takesMs > latencyObjectiveMs * current.length;
}
