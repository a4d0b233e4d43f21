import type { VersionCid } from '../../../protocols/types.ts';
import { planClaim, shortageOf } from './claim-plan.ts';
import { planMeetings } from './holder-doubt.ts';
import { planMove } from './move-plan.ts';
import { commonestHindrance, describeHindrance } from './node-fitness.ts';
import { rendezvousDistance } from './node-rank.ts';
import { planPrefetch } from './prefetch-plan.ts';
import type {
  ReplicaAction,
  ReplicaPlan,
  ScalingSelf,
  ScalingView,
  VersionPlan,
} from './scaling-view.ts';
import { planSurplus } from './surplus-plan.ts';
import { assessVersion, nodesById, type VersionState } from './version-state.ts';

/** Share of a recruit interval by which a notice is put off at random, so that two who see the same do not both speak. */
const NOTICE_JITTER = 0.5;

/** Nodes that may have been made up, looked for at one look at the plan: each costs a connection. */
const MAX_MEETINGS = 4;

/** Looks in the time of one tick while a crowd is there that replicas are lacking for: each tells more of how large it is. */
const HURRIED_LOOKS = 4;

/**
 * What one node does about what all hold.
 *
 * Every node runs it on what it knows; nobody decides for all. Pure: the same arguments give the same plan, in a node and in
 * the simulator. docs/scaling.md has the formulas and their sources.
 */
export function planReplicas(
  view: ScalingView,
  self: ScalingSelf,
  nowMs: number,
  random: () => number,
): ReplicaPlan {
  const nodes = nodesById(view, self);
  const states = view.versions.map((version) => assessVersion(version, nodes, self, nowMs));
  const actions: ReplicaAction[] = [];
  for (const state of states) {
    const surplus = planSurplus(state, nodes, self, nowMs);
    if (surplus !== undefined) actions.push(surplus);
  }
  let room = self.settings.maxLoading - self.loading;
  let { memoryFreeBytes } = self.node;
  const hurried = states.some((state) => isWorthHurrying(state, { room, memoryFreeBytes }));
  let lookAtMs = hurried ? nowMs + self.settings.tickMs / HURRIED_LOOKS : null;
  for (const state of byNeed(states)) {
    if (room <= 0) break;
    if (memoryFreeBytes !== null && memoryFreeBytes < state.version.memoryBytes) continue;
    const claim = planClaim(state, nodes, view.population, self, nowMs);
    if (claim === undefined) continue;
    if (claim.action === undefined) {
      lookAtMs = Math.min(lookAtMs ?? claim.dueMs, claim.dueMs);
      continue;
    }
    actions.push(claim.action);
    room -= 1;
    if (memoryFreeBytes !== null) memoryFreeBytes -= state.version.memoryBytes;
  }
  if (room > 0 && actions.length === 0) {
    const move = planMove(states, nodes, self);
    if (move !== undefined) actions.push(move);
  }
  // What is fetched for later takes no place of what is lacking now: whom it is fetched from may have gone.
  if (room > self.prefetching && actions.length === 0) {
    for (const state of states) {
      const prefetch = planPrefetch(state, nodes, self);
      if (prefetch === undefined) continue;
      actions.push(prefetch);
      break;
    }
  }
  return {
    actions,
    versions: states.map((state) => describe(state)),
    notices: planNotices(states, self, nowMs, random),
    meetings: planMeetings(view.versions, MAX_MEETINGS, random),
    lookAtMs,
    memory: new Map(states.map(({ version, memory }) => [version.cid, memory])),
  };
}

/** Whether a crowd is there that replicas are lacking for, and this node could make one, or has seen of the crowd what others have not. */
function isWorthHurrying(
  state: VersionState,
  { room, memoryFreeBytes }: { readonly room: number; readonly memoryFreeBytes: number | null },
): boolean {
  if (!state.desired.panic || shortageOf(state) === undefined) return false;
  if (state.own?.state === 'ready') return true;
  return room > 0 && (memoryFreeBytes === null || memoryFreeBytes >= state.version.memoryBytes);
}

/** Those that lack the most first: below the minimum or in panic, then by the share that is lacking. */
function byNeed(states: readonly VersionState[]): readonly VersionState[] {
  const needs = states.flatMap((state) => {
    const shortage = shortageOf(state);
    if (shortage === undefined) return [];
    return { state, need: (shortage.urgent ? 2 : 0) + shortage.count / state.desiredCount };
  });
  return needs.toSorted((a, b) => b.need - a.need).map(({ state }) => state);
}

function describe(state: VersionState): VersionPlan {
  const { version, ready, loading, desired, desiredCount, havePerS } = state;
  const have = ready.length + loading.length;
  return {
    ...{ cid: version.cid, desired: desiredCount, have, havePerS },
    desiredPerS: desired.wantedPerS,
    panic: desired.panic,
    unplaceable: desiredCount > have ? unplaceable(state, desiredCount - have) : null,
  };
}

function unplaceable(
  { version, eligible, hindrances }: VersionState,
  lacking: number,
): VersionPlan['unplaceable'] {
  const count = lacking - eligible.length;
  if (count <= 0) return null;
  const hindrance = commonestHindrance(hindrances);
  return { count, hindrance, reason: describeHindrance(hindrance, version) };
}

/**
 * Versions that lack replicas: a holder tells all nodes, for those that do not hold them hear of it in no other way; where there
 * is none, who heard of the demand. One of them speaks, the first by its distance; the others when nobody was heard for another interval each,
 * or where nobody can wait for another spread of claims each.
 */
function planNotices(
  states: readonly VersionState[],
  { node, settings }: ScalingSelf,
  nowMs: number,
  random: () => number,
): readonly VersionCid[] {
  const { recruitIntervalMs, upDelayMs, claimSpreadMs } = settings;
  return states
    .filter((state) => {
      const { version, memory, ready } = state;
      const quietMs = version.noticeAgeMs ?? Number.POSITIVE_INFINITY;
      if (quietMs < recruitIntervalMs) return false;
      const shortage = shortageOf(state);
      if (shortage === undefined || memory.shortSinceMs === null) return false;
      const speakers =
        ready.length > 0
          ? ready.map((one) => one.node)
          : version.reports.map(({ reporter }) => reporter);
      if (!speakers.includes(node.node)) return false;
      const own = rendezvousDistance(version.cid, node.node);
      const before = speakers.filter((one) => rendezvousDistance(version.cid, one) < own).length;
      const lastsMs = shortage.urgent ? 0 : upDelayMs;
      const apartMs = shortage.urgent ? claimSpreadMs : recruitIntervalMs;
      const waitMs = lastsMs + apartMs * (before + NOTICE_JITTER * random() * Math.sign(before));
      return nowMs - memory.shortSinceMs >= waitMs;
    })
    .map(({ version }) => version.cid);
}
