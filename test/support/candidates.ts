import type { NodeId, OwnerId } from '../../protocols/types.ts';
import { type Candidate, NOBODY, type RoutingRequest } from '../../src/policy/routing.ts';

/** A node that is idle, near and well, with an owner of its own, but for what is said of it. */
export function candidateOf(
  node: string,
  over: Partial<Omit<Candidate, 'node' | 'owner'>> & { readonly owner?: string } = {},
): Candidate {
  const { owner = `owner of ${node}`, ...rest } = over;
  return {
    node: node as NodeId,
    owner: owner as OwnerId,
    zone: '',
    load: loadOf(10),
    loadAgeMs: 0,
    waiting: 0,
    serviceMs: null,
    roundTripMs: 1,
    bytesPerMs: null,
    coolingUntilMs: 0,
    forbiddenUntilMs: 0,
    penaltyMs: 0,
    startShare: 1,
    pooled: false,
    suspect: false,
    refusedBytes: Number.POSITIVE_INFINITY,
    wishesMet: 0,
    lastSentAtMs: Number.NEGATIVE_INFINITY,
    ...rest,
  };
}

export function loadOf(serviceMs: number | null, slots = 1) {
  return { inFlight: 0, queued: 0, slots, serviceMs };
}

/** A request without a body that nobody was asked for yet, but for what is said of it. */
export function routingOf(over: Partial<RoutingRequest> = {}): RoutingRequest {
  return {
    bodyBytes: 0,
    remainingMs: 30_000,
    tried: new Set(),
    failedOwners: new Set(),
    avoid: NOBODY,
    affinity: undefined,
    ...over,
  };
}
