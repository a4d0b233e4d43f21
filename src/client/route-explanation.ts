import type { NodeId, OwnerId, VersionCid } from '../../protocols/types.ts';
import type { Judgement, Verdict } from '../policy/node-choice.ts';
import type { LinkedCandidate } from './node-directory.ts';
import type { CallComponents, CallInit } from './routed-call.ts';
import { chooseToWake } from './wake-choice.ts';

/** A node as the choice sees it. */
export interface ExplainedNode {
  readonly node: NodeId;
  readonly owner: OwnerId;
  readonly zone: string;
  /** `cold` ones have the version on their disk and load it when asked: they are chosen only when none is READY. */
  readonly state: 'ready' | 'cold';
  /** `chosen`, or why it is not. */
  readonly verdict: Verdict | 'cold';
  /** Milliseconds until the answer by the estimate, and its parts. */
  readonly totalMs: number;
  readonly pathMs: number;
  readonly queueMs: number;
  readonly serviceMs: number;
  /** Milliseconds that its latest failures add. */
  readonly penaltyMs: number;
  /** Requests ahead of this one. */
  readonly waiting: number;
  /** Milliseconds since it said how busy it is. */
  readonly loadAgeMs: number;
  /** Milliseconds for which it is still avoided after a failure; 0 when it is not. */
  readonly coolingMs: number;
}

/** Which node would be asked now, and why not the others. */
export interface RouteExplanation {
  readonly version: VersionCid;
  readonly channel: string | null;
  /** The chosen one first, the others by their estimates; empty when nobody serves the version. */
  readonly candidates: readonly ExplainedNode[];
}

/** Chooses as a call would, and sends nothing but probes. */
export async function explainRoute(
  { model, elements, prefer, receipt, bodyBytes, affinity, avoid, clock, ref }: CallInit,
  { directory, chooser, resolver }: CallComponents,
): Promise<RouteExplanation> {
  const form = { version: model.cid, elements, prefer, receipt };
  const routing = () => ({
    ...{ bodyBytes, affinity, avoid },
    remainingMs: clock.remainingMs(),
    tried: new Set<NodeId>(),
    failedOwners: new Set<OwnerId>(),
  });
  if (directory.ready(form).length === 0) {
    await resolver.refresh(ref, model.cid, clock.signal);
  }
  await directory.survey(chooser.selectable(directory.ready(form), routing()), form, clock);
  const ready = chooser.explain(directory.ready(form), routing());
  const cold = directory.cold(form);
  const found = ready.some(({ verdict }) => verdict === 'chosen');
  const wake = { cid: model.cid, forMs: clock.elapsedMs() };
  const woken = found
    ? undefined
    : chooseToWake(chooser.selectable(cold, routing()), directory.holders(model.cid), wake);
  const candidates = [
    ...ready.map((judgement) => explained(judgement, 'ready', judgement.verdict)),
    ...chooser.explain(cold, routing()).map((judgement) => {
      const isOpen = judgement.verdict === 'chosen' || judgement.verdict === 'as good';
      if (judgement.candidate === woken) return explained(judgement, 'cold', 'chosen');
      // One is woken: the others are as good as it, or not needed.
      return explained(judgement, 'cold', found || isOpen ? 'cold' : judgement.verdict);
    }),
  ].sort(
    (a, b) =>
      Number(b.verdict === 'chosen') - Number(a.verdict === 'chosen') || a.totalMs - b.totalMs,
  );
  return { version: model.cid, channel: model.channel, candidates };
}

function explained(
  { candidate, estimate }: Judgement<LinkedCandidate>,
  state: 'ready' | 'cold',
  verdict: Verdict | 'cold',
): ExplainedNode {
  const { node, owner, zone, penaltyMs, waiting, loadAgeMs, coolingUntilMs } = candidate;
  const coolingMs = Math.max(0, coolingUntilMs - Date.now());
  return {
    ...{ node, owner, zone, state, verdict, ...estimate, penaltyMs, waiting, loadAgeMs },
    coolingMs,
  };
}
