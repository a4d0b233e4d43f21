import type { Ed25519PrivateKey } from '@libp2p/interface';
import type { SwarmPeer } from '../src/swarm/peer.ts';
import type { SpanExporter } from '../src/swarm/span-exporter.ts';
import { InferenceService } from './inference-service.ts';
import type { ResolvedNodeInit } from './node-init.ts';
import type { RequestListener } from './metrics/request-listener.ts';
import { createSpans } from './node-spans.ts';
import { ReceiptDesk } from './receipt-desk.ts';
import type { ReplicaSet } from './replica/replica-set.ts';
import type { Scaler } from './scaler/scaler.ts';
import type { VersionStore } from './store/version-store.ts';

export interface CreateInferenceComponents {
  readonly peer: SwarmPeer;
  readonly store: Pick<VersionStore, 'noteUse'>;
  readonly replicas: ReplicaSet;
  /** Undefined where the node holds only what publishers place. */
  readonly scaler: Pick<Scaler, 'wake'> | undefined;
  /** Hears how each request ended; undefined where nobody wants to know. */
  readonly requests: RequestListener | undefined;
  /** Signs receipts. */
  readonly privateKey: Ed25519PrivateKey;
}

/** What answers requests, and the exporter of their spans where somebody wants them; the caller stops that. */
export function createInference(
  { peer, store, replicas, scaler, requests, privateKey }: CreateInferenceComponents,
  init: ResolvedNodeInit,
): { readonly inference: InferenceService; readonly spans: SpanExporter | undefined } {
  const spans = createSpans(peer.id, init);
  const inference = new InferenceService(
    {
      sequenceOf: ({ origin }) =>
        peer.releases.cached(origin.publisher, origin.name)?.record.sequence ?? 0,
      countOutcome: ({ origin }, outcome, caller) => {
        store.noteUse(origin.cid);
        peer.outcomes.count(origin, outcome, caller);
      },
      receipts: init.receipts ? new ReceiptDesk(privateKey) : undefined,
      ...{ requests, spans },
      replicas: {
        get: (cid) => replicas.get(cid),
        wake: (cid) => (scaler ?? replicas).wake(cid),
      },
      demand: (cid) => peer.demand.meter(cid),
    },
    init,
  );
  return { inference, spans };
}
