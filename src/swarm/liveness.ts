import type { PeerId } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { BoundedMap } from '../../protocols/bounded-map.ts';
import { handleKeepAlive, LIVENESS_VERSION } from '../../protocols/liveness/index.ts';
import { protocolId } from '../../protocols/protocol-id.ts';
import type { NodeId, VersionCid } from '../../protocols/types.ts';
import { DeathReports } from './death-reports.ts';
import { type CheckOptions, NodeCheck } from './node-check.ts';
import type { SwarmPeer } from './peer.ts';
import { WatchedNodes } from './watched-nodes.ts';

/** Milliseconds between two looks for one node that others' words set off: they may tell as often as they like. */
const HEARSAY_PAUSE_MS = 1_000;

/**
 * Longest wait before a node is looked for whose connection closed. It doubles from a second each time that finds it: one that has
 * no room for this peer closes what the look opens.
 */
const MAX_FLAP_PAUSE_MS = 60_000;

/** Nodes whose connections close although they are there. */
const MAX_FLAPPING = 1_024;

/** Buried nodes looked for at once. */
const MAX_SEEKING = 64;

/** How long a message of a buried node waits until that is found: it holds up what else its sender sends. */
const ADMIT_WAIT_MS = 300;

/** Peers of which it is remembered that there was a connection to them. */
const MAX_MET = 4_096;

/** Keep-alive streams that one peer may have open here. */
const MAX_STREAMS = 4;

/** Buried nodes looked for at once by who needs one. */
const MAX_SOUGHT = 8;

/** Hears which node is gone, and which versions it was known to hold. */
export type DeathListener = (node: NodeId, held: readonly VersionCid[]) => void;

export type LivenessPeer = Pick<SwarmPeer, 'libp2p' | 'network' | 'view' | 'gossip' | 'openStream'>;

/**
 * Takes nodes that have died out of the view within seconds, where a lease would take half a minute.
 *
 *     missed (a keep-alive that is silent, a connection that closed, a request that failed, another's report)
 *       ──▶ looked for directly ──▶ there: nothing happens
 *                               └─▶ gone: buried in the view, and told to others, who look themselves
 *     buried ── direct contact ──▶ back in the view
 *
 * What others say never buries a node, nor brings one back.
 */
export class Liveness {
  readonly #peer: LivenessPeer;
  readonly #check: NodeCheck;
  readonly #reports: DeathReports;
  readonly #stopping = new AbortController();
  readonly #listeners = new Set<DeathListener>();
  readonly #seeking = new Map<NodeId, Promise<boolean>>();
  readonly #flaps = new BoundedMap<NodeId, number>(MAX_FLAPPING);
  readonly #met = new BoundedMap<string, true>(MAX_MET);
  readonly #plans: (() => ReadonlySet<NodeId>)[] = [];
  #watched: WatchedNodes | undefined;

  constructor(peer: LivenessPeer) {
    this.#peer = peer;
    const { libp2p, network } = peer;
    this.#check = new NodeCheck(libp2p, network, this.#stopping.signal);
    this.#reports = new DeathReports({
      topics: () => peer.gossip,
      verify: (node) => this.#verify(node),
    });
    libp2p.addEventListener('peer:connect', this.#onConnect);
    libp2p.addEventListener('peer:disconnect', this.#onDisconnect);
  }

  /** What others tell of deaths. */
  get reports(): DeathReports {
    return this.#reports;
  }

  /** Answers the keep-alives of others. */
  async serve(): Promise<void> {
    const { libp2p, network } = this.#peer;
    await libp2p.handle(protocolId(network, 'liveness', LIVENESS_VERSION), handleKeepAlive, {
      maxInboundStreams: MAX_STREAMS,
      maxOutboundStreams: MAX_STREAMS,
    });
  }

  /** Keeps an eye on the nodes that a plan names, which is asked anew each second, until this peer stops. */
  watch(plan: () => ReadonlySet<NodeId>): void {
    this.#plans.push(plan);
    this.#watched ??= new WatchedNodes(this.#peer, {
      plan: () => new Set(this.#plans.flatMap((planned) => [...planned()])),
      onLost: (node, loss) => void this.suspect(node, { silent: loss === 'silent' }),
    });
    this.#watched.look();
  }

  /** Looks for a node that was missed, and buries it when it is gone. Resolves when that is known; never rejects. */
  async suspect(node: NodeId, options: CheckOptions = {}): Promise<void> {
    await this.#isGone(node, options);
  }

  /** Looks for a node of which only others have told. Resolves when it is known whether it is there; never rejects. */
  async meet(node: NodeId): Promise<void> {
    await this.#isGone(node, { pauseMs: HEARSAY_PAUSE_MS });
  }

  /** Whether there is or was a connection to a node, as far back as this peer remembers. */
  hasMet(node: NodeId): boolean {
    return (
      this.#met.has(node) || this.#peer.libp2p.getConnections(peerIdFromString(node)).length > 0
    );
  }

  /** False for a buried node that is not found within a moment: what is heard of it is not believed. It is looked for all the same. */
  async admit(node: NodeId): Promise<boolean> {
    if (this.#peer.view.buried(node, Date.now()) === undefined) return true;
    return Promise.race([
      this.#seek(node),
      new Promise<boolean>((resolve) => setTimeout(() => resolve(false), ADMIT_WAIT_MS).unref()),
    ]);
  }

  /** Looks again for the buried holders of a version, on behalf of somebody who needs one. */
  async seekHolders(cid: VersionCid): Promise<void> {
    const buried = this.#peer.view.buriedHolders(cid, Date.now()).slice(0, MAX_SOUGHT);
    await Promise.all(buried.map((node) => this.#seek(node)));
  }

  /** Calls back for each node that was found gone, after it has left the view; returns what ends it. */
  onDeath(listener: DeathListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  stop(): void {
    this.#stopping.abort();
    const { libp2p } = this.#peer;
    libp2p.removeEventListener('peer:connect', this.#onConnect);
    libp2p.removeEventListener('peer:disconnect', this.#onDisconnect);
    this.#watched?.stop();
    this.#reports.stop();
  }

  readonly #onConnect = ({ detail }: CustomEvent<PeerId>): void => {
    const node = detail.toString();
    this.#met.set(node, true);
    this.#peer.view.revive(node as NodeId, Date.now());
  };

  readonly #onDisconnect = ({ detail }: CustomEvent<PeerId>): void => {
    const node = detail.toString() as NodeId;
    const flaps = this.#flaps.get(node) ?? 0;
    const pauseMs = flaps === 0 ? 0 : Math.min(MAX_FLAP_PAUSE_MS, 500 * 2 ** flaps);
    void this.#isGone(node, { pauseMs }).then((gone) => {
      if (gone) this.#flaps.delete(node);
      else if (gone === false && this.#peer.view.node(node, Date.now()) !== undefined) {
        this.#flaps.set(node, Math.min(flaps + 1, 16));
      }
    });
  };

  async #verify(node: NodeId): Promise<boolean | undefined> {
    const { view } = this.#peer;
    if (view.buried(node, Date.now()) !== undefined) return true;
    if (view.node(node, Date.now()) === undefined) return undefined;
    return this.#isGone(node, { pauseMs: HEARSAY_PAUSE_MS });
  }

  /** Undefined when it is not known: of a node never heard of, and where too many are looked for. Never rejects. */
  async #isGone(node: NodeId, options: CheckOptions): Promise<boolean | undefined> {
    const { view, libp2p } = this.#peer;
    if (node === libp2p.peerId.toString()) return false;
    const known = view.node(node, Date.now());
    if (known === undefined) return undefined;
    const presence = await this.#check.look(known, options);
    if (presence === 'gone') this.#bury(node);
    return presence === 'unknown' ? undefined : presence === 'gone';
  }

  #bury(node: NodeId): void {
    const nowMs = Date.now();
    const { view } = this.#peer;
    const held = view.versionsOf(node, nowMs);
    if (view.bury(node, nowMs) === undefined) return;
    this.#reports.tell(node, held);
    for (const listener of this.#listeners) listener(node, held);
  }

  /** Looks for a buried node, by its latest word and once a second at most; true when it was found. Never rejects. */
  #seek(node: NodeId): Promise<boolean> {
    const underway = this.#seeking.get(node);
    if (underway !== undefined) return underway;
    if (this.#seeking.size >= MAX_SEEKING) return Promise.resolve(false);
    const seeking = this.#find(node).finally(() => this.#seeking.delete(node));
    this.#seeking.set(node, seeking);
    return seeking;
  }

  async #find(node: NodeId): Promise<boolean> {
    const { view } = this.#peer;
    const buried = view.buried(node, Date.now());
    if (buried === undefined) return view.node(node, Date.now()) !== undefined;
    if ((await this.#check.look(buried, { pauseMs: HEARSAY_PAUSE_MS })) !== 'there') return false;
    view.revive(node, Date.now());
    return true;
  }
}
