import { ConfigError } from '../../protocols/errors.ts';
import { type Judgement, judgeCandidates, selectable, selectNode } from '../policy/node-choice.ts';
import type { Candidate, NodeSelector, RoutingContext, RoutingRequest } from '../policy/routing.ts';

/** Chooses nodes by the built-in policy, or by the selector that the application gave. */
export class NodeChooser {
  readonly #selector: NodeSelector | undefined;

  constructor(selector: NodeSelector | undefined) {
    this.#selector = selector;
  }

  /** @throws {ERR_CONFIG} when the application's selector names a node that is none of its candidates. */
  choose<C extends Candidate>(candidates: readonly C[], request: RoutingRequest): C | undefined {
    const context = contextNow();
    if (this.#selector === undefined) return selectNode(candidates, request, context);
    const open = selectable(candidates, request, context.nowMs);
    if (open.length === 0) return undefined;
    const node = this.#selector(open, request, context);
    if (node === undefined) return undefined;
    const chosen = open.find((candidate) => candidate.node === node);
    if (chosen !== undefined) return chosen;
    throw new ConfigError(
      `selector returned '${node}', expected the node of one of its candidates`,
    );
  }

  /** What was made of each candidate, by the same rules. */
  explain<C extends Candidate>(candidates: readonly C[], request: RoutingRequest): Judgement<C>[] {
    const judged = judgeCandidates(candidates, request, contextNow());
    if (this.#selector === undefined) return judged;
    const chosen = this.choose(candidates, request);
    for (const judgement of judged) {
      if (judgement.candidate === chosen) judgement.verdict = 'chosen';
      else if (judgement.verdict === 'chosen') judgement.verdict = 'as good';
    }
    return judged;
  }

  /** Who may be chosen at all. */
  selectable<C extends Candidate>(candidates: readonly C[], request: RoutingRequest): readonly C[] {
    return selectable(candidates, request, Date.now());
  }
}

function contextNow(): RoutingContext {
  return { nowMs: Date.now(), random: Math.random };
}
