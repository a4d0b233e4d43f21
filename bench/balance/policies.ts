import type { Candidate, NodeSelector } from '../../src/policy/routing.ts';

/** Ours, and what it is measured against: each a selector of the same SDK, which probes, hedges and retries as ever. */
export const POLICIES = ['gpu-swarm', 'round robin', 'random', 'least in flight'] as const;

export type PolicyName = (typeof POLICIES)[number];

/** The oracle is no policy: it replays. */
export const ORACLE = 'oracle';

/** A selector with a state of its own; undefined for the built-in policy. */
export function selectorOf(policy: PolicyName): NodeSelector | undefined {
  switch (policy) {
    case 'gpu-swarm':
      return undefined;
    case 'round robin':
      return roundRobin();
    case 'random':
      return (candidates, _, { random }) => drawn(candidates, random)?.node;
    case 'least in flight':
      return (candidates, _, { random }) => {
        const least = Math.min(...candidates.map(({ waiting }) => waiting));
        return drawn(
          candidates.filter(({ waiting }) => waiting === least),
          random,
        )?.node;
      };
  }
}

function roundRobin(): NodeSelector {
  let turn = 0;
  return (candidates) => {
    const inOrder = candidates.map(({ node }) => node).sort();
    turn += 1;
    return inOrder[turn % inOrder.length];
  };
}

function drawn(candidates: readonly Candidate[], random: () => number): Candidate | undefined {
  return candidates[Math.floor(random() * candidates.length)];
}
