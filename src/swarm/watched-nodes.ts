import { KeepAlive, type KeepAliveLoss, LIVENESS_VERSION } from '../../protocols/liveness/index.ts';
import type { NodeId } from '../../protocols/types.ts';
import type { SwarmPeer } from './peer.ts';

/** How often it is looked at whom to watch. */
const TICK_MS = 1_000;

/** Milliseconds that a watched node has to open a stream, the connection included. */
const OPEN_TIMEOUT_MS = 2_000;

export interface WatchedNodesInit {
  /** Whom to watch now. */
  readonly plan: () => ReadonlySet<NodeId>;
  /** Hears that a node does not answer any more, or not on the connection there is. It is watched again at the next look. */
  readonly onLost: (node: NodeId, loss: KeepAliveLoss) => void;
}

type Watch = KeepAlive | 'opening';

/** Keep-alives to the nodes that matter to this peer, so that one that dies is missed within seconds rather than a lease. */
export class WatchedNodes {
  readonly #peer: Pick<SwarmPeer, 'openStream'>;
  readonly #init: WatchedNodesInit;
  readonly #watches = new Map<NodeId, Watch>();
  readonly #stopping = new AbortController();
  readonly #timer: NodeJS.Timeout;

  constructor(peer: Pick<SwarmPeer, 'openStream'>, init: WatchedNodesInit) {
    this.#peer = peer;
    this.#init = init;
    this.#timer = setInterval(() => this.look(), TICK_MS);
    this.#timer.unref();
  }

  /** Watches whom the plan names now, and nobody else. */
  look(): void {
    if (this.#stopping.signal.aborted) return;
    const planned = this.#init.plan();
    for (const [node, watch] of this.#watches) {
      if (planned.has(node) || watch === 'opening') continue;
      watch.close();
      this.#watches.delete(node);
    }
    for (const node of planned) if (!this.#watches.has(node)) void this.#open(node);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#stopping.abort();
    for (const watch of this.#watches.values()) if (watch !== 'opening') watch.close();
    this.#watches.clear();
  }

  async #open(node: NodeId): Promise<void> {
    this.#watches.set(node, 'opening');
    const { signal: stopping } = this.#stopping;
    const signal = AbortSignal.any([stopping, AbortSignal.timeout(OPEN_TIMEOUT_MS)]);
    try {
      const stream = await this.#peer.openStream(node, 'liveness', LIVENESS_VERSION, signal);
      const watch = new KeepAlive(stream, { onLost: (loss) => this.#lost(node, loss) });
      if (stopping.aborted) watch.close();
      else this.#watches.set(node, watch);
    } catch {
      // A node that says no is not silent: what runs on its connections goes on.
      this.#lost(node, signal.aborted ? 'silent' : 'closed');
    }
  }

  #lost(node: NodeId, loss: KeepAliveLoss): void {
    this.#watches.delete(node);
    if (!this.#stopping.signal.aborted) this.#init.onLost(node, loss);
  }
}
