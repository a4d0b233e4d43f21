import type { Multiaddr } from '@multiformats/multiaddr';
import { ConnectionError, DeadlineError, type SwarmError } from '../../protocols/errors.ts';
import { isOfNetwork } from '../../protocols/protocol-id.ts';
import type { SwarmLibp2p } from './libp2p.ts';

/** How often a peer that lost all others tries the way in again. */
const REJOIN_INTERVAL_MS = 2_000;

/** How long a dial of the way in may take: who has not answered by then is taken for gone. */
export const JOIN_TIMEOUT_MS = 10_000;

/** Peers met before that are tried too. */
const MAX_REDIALLED_PEERS = 16;

/** How many are dialled at most because the local network named them. */
const MAX_DISCOVERED_PEERS = 8;

export interface WayInInit {
  readonly network: string;
  /** Addresses, with `/p2p/<id>`, of peers that are tried when this one knows nobody. */
  readonly bootstrap: readonly Multiaddr[];
  /**
   * Called when no address leads to a peer, with why of each: once, and again only after there was one; and once of each at which a peer of
   * another network was met. @default nobody is told
   */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** How a peer comes to its first peer, and back to one whenever all have vanished. */
export class WayIn {
  readonly #libp2p: SwarmLibp2p;
  readonly #network: string;
  readonly #bootstrap: readonly Multiaddr[];
  readonly #stopping = new AbortController();
  /** Of the bootstrap addresses those at which the last dial that ended found nobody, and why. */
  readonly #failed = new Map<Multiaddr, unknown>();
  readonly #onWarning: ((message: string) => void) | undefined;
  #told = false;
  /** Bootstrap addresses at which peers of other networks were met. */
  readonly #foreign = new Set<Multiaddr>();
  #rejoin: NodeJS.Timeout | undefined;

  constructor(libp2p: SwarmLibp2p, { network, bootstrap, onWarning }: WayInInit) {
    this.#libp2p = libp2p;
    this.#network = network;
    this.#bootstrap = bootstrap;
    this.#onWarning = onWarning;
  }

  start(): void {
    this.#libp2p.addEventListener('peer:discovery', ({ detail }) => {
      if (this.#libp2p.getConnections().length >= MAX_DISCOVERED_PEERS) return;
      this.#libp2p.dial(detail.id, { signal: this.#deadline() }).catch(() => {
        // A peer that mDNS saw may be of another network or gone: it is one of many ways in.
      });
    });
    this.#libp2p.addEventListener('peer:connect', () => {
      this.#told = false;
    });
    this.#libp2p.addEventListener('peer:identify', ({ detail: { peerId, protocols } }) => {
      this.#checkNetwork(peerId.toString(), protocols);
    });
    this.#join();
    this.#rejoin = setInterval(() => this.#join(), REJOIN_INTERVAL_MS);
    this.#rejoin.unref();
  }

  stop(): void {
    clearInterval(this.#rejoin);
    this.#stopping.abort();
  }

  /**
   * Resolves once connected to at least one peer.
   *
   * @throws {ERR_CONNECTION} when the signal aborts first and no peer can be reached: each address refused, or had as long as a
   * dial may take. {ERR_DEADLINE} when it aborts before that is known. Both name the addresses tried.
   */
  async connected(signal: AbortSignal): Promise<void> {
    if (this.#libp2p.getPeers().length > 0) return;
    const startedAtMs = performance.now();
    await new Promise<void>((resolve, reject) => {
      const settle = (): void => {
        this.#libp2p.removeEventListener('peer:connect', onConnect);
        signal.removeEventListener('abort', onAbort);
      };
      const onConnect = (): void => {
        settle();
        resolve();
      };
      const onAbort = (): void => {
        settle();
        reject(this.#unreached(performance.now() - startedAtMs));
      };
      if (signal.aborted) return onAbort();
      this.#libp2p.addEventListener('peer:connect', onConnect);
      signal.addEventListener('abort', onAbort);
    });
  }

  #unreached(waitedMs: number): SwarmError {
    const peer = `no peer of network '${this.#network}'`;
    const tried = `(tried ${this.#bootstrap.map(String).join(', ') || 'mDNS only'})`;
    return this.#allFailed || waitedMs >= JOIN_TIMEOUT_MS
      ? new ConnectionError(`${peer} could be reached ${tried}`)
      : new DeadlineError(
          `${peer} was reached within ${Math.ceil(waitedMs)} ms, and none refused ${tried}`,
          'dial',
        );
  }

  /** Whoever dials a swarm by the address of another would find nobody in it, and see no reason. */
  #checkNetwork(peer: string, protocols: readonly string[]): void {
    const address = this.#bootstrap.find((one) => one.toString().endsWith(`/p2p/${peer}`));
    if (address === undefined || protocols.some((id) => isOfNetwork(id, this.#network))) return;
    // Such a peer is met again and again.
    if (this.#foreign.has(address)) return;
    this.#foreign.add(address);
    this.#onWarning?.(
      `peer at ${address.toString()} is of another network than '${this.#network}' (--network)`,
    );
  }

  get #allFailed(): boolean {
    return this.#bootstrap.length > 0 && this.#failed.size === this.#bootstrap.length;
  }

  #tellUnreached(): void {
    if (this.#told || !this.#allFailed || this.#stopping.signal.aborted) return;
    if (this.#libp2p.getPeers().length > 0) return;
    this.#told = true;
    const tried = [...this.#failed].map(
      ([address, error]) => `${address.toString()}: ${reasonOf(error)}`,
    );
    this.#onWarning?.(
      `no peer of network '${this.#network}' can be reached, which is tried again and again: ${tried.join('; ')}`,
    );
  }

  /** Dials the way in when nobody is connected: at start, and again whenever all peers vanished. */
  #join(): void {
    if (this.#libp2p.getPeers().length > 0 || this.#stopping.signal.aborted) return;
    for (const address of this.#bootstrap) {
      this.#libp2p.dial(address, { signal: this.#deadline() }).then(
        () => this.#failed.delete(address),
        (error: unknown) => {
          // Tried again at the next interval for as long as nobody is connected.
          this.#failed.set(address, error);
          this.#tellUnreached();
        },
      );
    }
    void this.#redialKnown();
  }

  /** A swarm outlives its bootstrap servers: the peers met before are ways in too. */
  async #redialKnown(): Promise<void> {
    const known = await this.#libp2p.peerStore.all();
    for (const peer of known.slice(0, MAX_REDIALLED_PEERS)) {
      if (peer.id.equals(this.#libp2p.peerId)) continue;
      this.#libp2p.dial(peer.id, { signal: this.#deadline() }).catch(() => {
        // As above.
      });
    }
  }

  /** A signal that aborts when a dial had its time, or when this peer stops. */
  #deadline(): AbortSignal {
    return AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(JOIN_TIMEOUT_MS)]);
  }
}

/** Libp2p's own words, and what they mean to who reads them. */
function reasonOf(error: unknown): string {
  // Of a peer that is dialled at several addresses.
  if (error instanceof AggregateError) return [...new Set(error.errors.map(reasonOf))].join(', ');
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  if (message === 'Unexpected Peer') return 'another peer answers there than the address names';
  return name === 'TimeoutError' ? `no answer within ${JOIN_TIMEOUT_MS} ms` : message;
}
