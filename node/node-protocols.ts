import { handleInference, INFERENCE_VERSION } from '../protocols/inference/index.ts';
import { protocolId } from '../protocols/protocol-id.ts';
import { handleReplica, REPLICA_VERSION } from '../protocols/replica/index.ts';
import { handleTransfer, RateLimiter, TRANSFER_VERSION } from '../protocols/transfer/index.ts';
import type { SwarmPeer } from '../src/swarm/peer.ts';
import { serveRouting } from '../src/swarm/routing-service.ts';
import { BusyError } from '../protocols/errors.ts';
import type { Handover } from './handover.ts';
import type { InferenceService } from './inference-service.ts';
import type { ResolvedNodeInit } from './node-init.ts';
import type { NodePause } from './node-pause.ts';
import type { ReplicaSet } from './replica/replica-set.ts';
import type { VersionStore } from './store/version-store.ts';

/** A replica request may fetch gigabytes: it ends when its work does, or after this. */
const REPLICA_TIMEOUT_MS = 6 * 3_600_000;

/** Milliseconds after which a node that leaves may be asked again: it may be one that starts anew. */
const LEAVING_RETRY_MS = 10_000;

/** Streams one peer may have open here per protocol: libp2p's default of 32 resets the rest. */
const MAX_STREAMS = 256;

/** The parts of a node that peers reach. */
export interface ServedParts {
  readonly init: ResolvedNodeInit;
  readonly peer: SwarmPeer;
  readonly store: VersionStore;
  readonly replicas: ReplicaSet;
  readonly inference: InferenceService;
  readonly pause: NodePause;
  readonly handover: Pick<Handover, 'leaving'>;
}

/** Answers what peers ask this node for: inference, blocks of its versions, to hold a replica, and what it knows of others. */
export async function serveProtocols({
  init,
  peer,
  store,
  replicas,
  inference,
  pause,
  handover,
}: ServedParts): Promise<void> {
  const { libp2p, network } = peer;
  const streams = { maxInboundStreams: MAX_STREAMS, maxOutboundStreams: MAX_STREAMS };
  await libp2p.handle(
    protocolId(network, 'inference', INFERENCE_VERSION),
    (stream, connection) =>
      handleInference(stream, connection.remotePeer.toString(), inference, {
        onProtocolError: (error) => {
          init.logger.warn(
            { err: error, peer: connection.remotePeer.toString() },
            'inference stream reset',
          );
        },
      }),
    streams,
  );
  const limit = limiterOf(init.uploadLimitBytes);
  await libp2p.handle(
    protocolId(network, 'transfer', TRANSFER_VERSION),
    (stream, connection) => {
      const peerId = connection.remotePeer.toString();
      return handleTransfer(stream, store, {
        peer: peerId,
        limit,
        onFailure: (error) => {
          init.logger.debug({ err: error, peer: peerId }, 'transfer stream reset');
        },
      });
    },
    streams,
  );
  await libp2p.handle(
    protocolId(network, 'replica', REPLICA_VERSION),
    (stream, connection) =>
      handleReplica(
        stream,
        (request, signal) => {
          pause.check();
          if (handover.leaving)
            throw new BusyError('this node is about to leave', LEAVING_RETRY_MS);
          return replicas.hold(request, connection.remotePeer.toString(), signal);
        },
        AbortSignal.timeout(REPLICA_TIMEOUT_MS),
      ),
    streams,
  );
  await serveRouting(peer, {
    readMetadata: async (cid) => (await store.manifest(cid))?.metadata,
  });
}

/** Undefined where nothing is to be held back. */
export function limiterOf(bytesPerSecond: number | undefined): RateLimiter | undefined {
  return bytesPerSecond === undefined ? undefined : new RateLimiter(bytesPerSecond);
}
