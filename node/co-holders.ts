import type { Logger } from 'pino';
import type { NodeId } from '../protocols/types.ts';
import { selectWatched } from '../src/policy/watch-plan.ts';
import type { SwarmPeer } from '../src/swarm/peer.ts';
import type { ReplicaSet } from './replica/replica-set.ts';

/** What a node watches its co-holders with. */
export interface CoHolderComponents {
  readonly peer: Pick<SwarmPeer, 'id' | 'view' | 'liveness'>;
  readonly replicas: Pick<ReplicaSet, 'replicas'>;
  readonly logger: Pick<Logger, 'info'>;
}

/** Keeps an eye on those that hold what this node holds, and on a few neighbours, until the peer stops. */
export function watchCoHolders({ peer, replicas, logger }: CoHolderComponents): void {
  peer.liveness.onDeath((node) => logger.info({ node }, 'node is gone: it was looked for'));
  peer.liveness.watch(() => {
    const nowMs = Date.now();
    const coHolders = new Map<string, NodeId[]>(
      replicas.replicas.map(({ origin }) => [origin.cid, []]),
    );
    for (const { node, version } of peer.view.replicas(nowMs)) {
      coHolders.get(version.cid)?.push(node.announcement.node);
    }
    const nodes = peer.view.nodes(nowMs).map(({ announcement }) => announcement.node);
    return selectWatched({ self: peer.id, coHolders, nodes });
  });
}
