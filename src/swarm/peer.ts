import type { PrivateKey, Stream } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import type { Datastore } from 'interface-datastore';
import { BoundedMap } from '../../protocols/bounded-map.ts';
import { openAnnouncement } from '../../protocols/capacity/index.ts';
import { ConfigError, ConnectionError } from '../../protocols/errors.ts';
import { parseNetwork, protocolId } from '../../protocols/protocol-id.ts';
import {
  createReleaseValidator,
  type ReleaseValidator,
  type SequenceStore,
} from '../../protocols/release/index.ts';
import {
  type CatalogAnswer,
  type CatalogQuery,
  ROUTING_VERSION,
  type RoutingQuery,
  type RoutingSnapshot,
  requestCatalog,
  requestSnapshot,
} from '../../protocols/routing/index.ts';
import type { NodeId } from '../../protocols/types.ts';
import { resolveScalingInit, type ScalingSettings } from '../policy/scaling/scaling-settings.ts';
import { capacityGossip } from './capacity-gossip.ts';
import { DemandWatch } from './demand-watch.ts';
import type { GossipTopics } from './gossip-topics.ts';
import { createSwarmLibp2p, type SwarmLibp2p } from './libp2p.ts';
import { Liveness } from './liveness.ts';
import { OutcomeWatch } from './outcome-watch.ts';
import { ProvisionGossip } from './provision-gossip.ts';
import { RecruitGossip } from './recruit-gossip.ts';
import { ReleaseGossip } from './release-gossip.ts';
import { ReleaseDirectory } from './releases.ts';
import { TopicMembership } from './topic-membership.ts';
import { SwarmView } from './view.ts';
import { WayIn } from './way-in.ts';

/** How long after its start a peer waits for a first DHT server. */
const JOIN_GRACE_MS = 5_000;

/** How long one peer has to answer when several are asked. */
const SURVEY_TIMEOUT_MS = 3_000;

/** Peers asked at once when the caller does not say: what they know overlaps. */
const SURVEYED_PEERS = 16;

/** Peers remembered that did not answer. */
const MAX_MUTE_PEERS = 256;

export interface SwarmPeerInit {
  readonly network: string;
  readonly privateKey: PrivateKey;
  readonly dhtMode: 'server' | 'client';
  /** Multiaddrs, with `/p2p/<id>`, of peers that are tried when this one knows nobody. */
  readonly bootstrap: readonly string[];
  readonly listen?: readonly string[] | undefined;
  readonly announce?: readonly string[] | undefined;
  readonly datastore?: Datastore | undefined;
  readonly sequences: SequenceStore;
  readonly mdns?: boolean | undefined;
  readonly maxConnections?: number | undefined;
  /** @see WayInInit.onWarning */
  readonly onWarning?: ((message: string) => void) | undefined;
  /** As what it counts demand. @default 'client' */
  readonly role?: 'node' | 'client' | undefined;
  /** Over which times it counts demand. @default those of docs/scaling.md */
  readonly scaling?: ScalingSettings | undefined;
}

export interface SurveyOptions {
  readonly signal: AbortSignal;
  /** Peers asked at most. @default 16 */
  readonly atMost?: number | undefined;
  /** Ids of the peers to ask, the first ones first. @default those connected */
  readonly peers?: readonly string[] | undefined;
}

/** What {@link SwarmPeer.start} made before libp2p. */
interface SwarmPeerParts
  extends Pick<SwarmPeerInit, 'network' | 'privateKey' | 'role' | 'scaling' | 'onWarning'> {
  readonly bootstrap: readonly Multiaddr[];
  readonly validateRelease: ReleaseValidator;
}

/** What client, node and bootstrap server have in common: the stack, the view of the swarm, the releases, the way in. */
export class SwarmPeer {
  readonly network: string;
  readonly libp2p: SwarmLibp2p;
  readonly view = new SwarmView();
  readonly liveness: Liveness;
  readonly releases: ReleaseDirectory;
  readonly gossip: GossipTopics;
  readonly releaseGossip: ReleaseGossip;
  readonly outcomes: OutcomeWatch;
  readonly demand: DemandWatch;
  readonly recruits: RecruitGossip;
  readonly provisions: ProvisionGossip;
  readonly topics: TopicMembership;
  readonly #wayIn: WayIn;
  readonly #startedAtMs = performance.now();
  /** Peers that did not answer when they were last asked for a snapshot. */
  readonly #mute = new BoundedMap<string, true>(MAX_MUTE_PEERS);

  /**
   * Starts libp2p and begins to join; {@link connected} tells when a first peer is there.
   *
   * @throws {ERR_CONFIG} when an address is malformed or cannot be listened on.
   */
  static async start(init: SwarmPeerInit): Promise<SwarmPeer> {
    const network = parseNetwork(init.network);
    const bootstrap = init.bootstrap.map(parseBootstrap);
    const validateRelease = createReleaseValidator({ sequences: init.sequences });
    let started: SwarmPeer | undefined;
    let libp2p: SwarmLibp2p;
    try {
      libp2p = await createSwarmLibp2p({
        ...init,
        network,
        validateRelease,
        onRelease: (bytes) => {
          // The validator has checked it; what it let in, memory may know before the next look-up.
          started?.releases.offer(bytes).catch(() => undefined);
        },
      });
    } catch (cause) {
      throw startFailure(init.listen ?? [], cause);
    }
    started = new SwarmPeer(libp2p, { ...init, network, bootstrap, validateRelease });
    await started.liveness.serve();
    return started;
  }

  private constructor(libp2p: SwarmLibp2p, parts: SwarmPeerParts) {
    const { network, privateKey, validateRelease, role = 'client' } = parts;
    this.libp2p = libp2p;
    this.network = network;
    this.releases = new ReleaseDirectory(libp2p, {
      push: (release) => this.releaseGossip.push(release),
      joining: () => this.joining,
    });
    this.releaseGossip = new ReleaseGossip(libp2p, this.releases, {
      network,
      validate: validateRelease,
    });
    this.outcomes = new OutcomeWatch(libp2p, this.releases, parts);
    const { scaling = resolveScalingInit() } = parts;
    const counting = { ...scaling, network, privateKey, role, holders: this.view };
    this.demand = new DemandWatch(libp2p, counting);
    const intervalMs = scaling.recruitIntervalMs;
    this.recruits = new RecruitGossip(libp2p, { network, privateKey, intervalMs });
    this.provisions = new ProvisionGossip(libp2p, { network, privateKey });
    this.liveness = new Liveness(this);
    this.gossip = capacityGossip(this);
    this.topics = new TopicMembership(this);
    this.#wayIn = new WayIn(libp2p, parts);
    this.#wayIn.start();
  }

  get id(): NodeId {
    return this.libp2p.peerId.toString() as NodeId;
  }

  /** True for a moment after the start, when a routing table is empty however many are connected: an empty answer of the DHT says nothing. */
  get joining(): boolean {
    return performance.now() - this.#startedAtMs < JOIN_GRACE_MS;
  }

  /** Multiaddrs that others can dial, with `/p2p/<id>`. */
  get addresses(): string[] {
    return this.libp2p.getMultiaddrs().map(String);
  }

  /** Resolves once connected to at least one peer. @throws {ERR_CONNECTION | ERR_DEADLINE} as {@link WayIn.connected} */
  async connected(signal: AbortSignal): Promise<void> {
    await this.#wayIn.connected(signal);
  }

  /**
   * Opens a stream of one of the swarm's protocols: over the connection there is, else dialling the addresses that a node announced
   * or that are known of a peer that is none.
   *
   * @throws whatever libp2p says of a peer that cannot be reached or does not speak the protocol, or the signal's reason.
   */
  async openStream(
    peer: string,
    name: string,
    version: string,
    signal: AbortSignal,
  ): Promise<Stream> {
    const id = peerIdFromString(peer);
    const known = this.view.node(peer as NodeId, Date.now());
    if (known !== undefined && this.libp2p.getConnections(id).length === 0) {
      await this.libp2p.peerStore.merge(id, {
        multiaddrs: known.announcement.addresses.map((address) => multiaddr(address)),
      });
    }
    return this.libp2p.dialProtocol(id, protocolId(this.network, name, version), { signal });
  }

  /**
   * Ends the connections to a peer from which nothing comes any more, without waiting for it: of one whose host is gone, or that a
   * router has forgotten, the system knows nothing for minutes, and every stream would be opened on it.
   */
  disconnect(peer: string, why: string): void {
    const error = new ConnectionError(`peer ${peer} ${why}`);
    for (const connection of this.libp2p.getConnections(peerIdFromString(peer))) {
      connection.abort(error);
    }
  }

  /** Asks one peer for a routing snapshot and takes in what its signatures prove. */
  async snapshot(peer: string, query: RoutingQuery, signal: AbortSignal): Promise<RoutingSnapshot> {
    const stream = await this.openStream(peer, 'routing', ROUTING_VERSION, signal);
    const askedAtMs = Date.now();
    const snapshot = await requestSnapshot(stream, query, signal);
    const { release, releaseAgeMs } = snapshot;
    if (release !== null) {
      const checkedAtMs = releaseAgeMs === undefined ? undefined : askedAtMs - releaseAgeMs;
      await this.releases.offer(release, { checkedAtMs });
    }
    for (const { bytes, ageMs } of snapshot.announcements) {
      try {
        const announcement = await openAnnouncement(bytes);
        const fresh = this.view.add(announcement, bytes, Date.now(), ageMs);
        if (fresh) void this.liveness.admit(announcement.node);
      } catch {
        // One bad announcement says nothing of the others: each stands by its own signature.
      }
    }
    if (snapshot.outcomes !== undefined) await this.outcomes.offer(snapshot.outcomes);
    return snapshot;
  }

  /**
   * Asks several peers at once, each for at most 3 s, and takes in what they prove: one promise for each that is asked, all of
   * them rejected once the signal aborts. Who did not answer the last time is asked after the others.
   */
  snapshots(
    query: RoutingQuery,
    { signal, atMost = SURVEYED_PEERS, peers }: SurveyOptions,
  ): Promise<RoutingSnapshot>[] {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(SURVEY_TIMEOUT_MS)]);
    const known = peers ?? this.libp2p.getPeers().map(String);
    const asked = known.toSorted((a, b) => Number(this.#mute.has(a)) - Number(this.#mute.has(b)));
    return asked.slice(0, atMost).map(async (id) => {
      try {
        const snapshot = await this.snapshot(id, query, bounded);
        this.#mute.delete(id);
        return snapshot;
      } catch (error) {
        if (!signal.aborted) this.#mute.set(id, true);
        throw error;
      }
    });
  }

  /**
   * Waits for a first peer, then for what all that are asked come to: who does not answer is not needed.
   *
   * @throws {ERR_CONNECTION | ERR_DEADLINE} when no peer was there before the signal aborted; its reason when it aborts later.
   */
  async survey(
    query: RoutingQuery,
    options: SurveyOptions,
  ): Promise<PromiseSettledResult<RoutingSnapshot>[]> {
    await this.connected(options.signal);
    const answers = await Promise.allSettled(this.snapshots(query, options));
    options.signal.throwIfAborted();
    return answers;
  }

  /** Asks one peer which models it knows. */
  async catalog(peer: string, query: CatalogQuery, signal: AbortSignal): Promise<CatalogAnswer> {
    const stream = await this.openStream(peer, 'routing', ROUTING_VERSION, signal);
    return requestCatalog(stream, query, signal);
  }

  /** Hears at once of a model's releases, and of how its guarded ones fare; for how long, {@link GossipTopics.join} says. */
  follow(publisher: string, name: string, nowMs?: number): void {
    this.releaseGossip.join(publisher, name, nowMs);
    this.outcomes.join(publisher, name, nowMs);
  }

  async stop(): Promise<void> {
    this.#wayIn.stop();
    await this.topics.stop();
    this.liveness.stop();
    this.releases.stop();
    await this.outcomes.stop();
    await this.demand.stop();
    await this.libp2p.stop();
  }
}

/**
 * Checks addresses of peers to join by, before anything is opened for them.
 *
 * @throws {ERR_CONFIG} naming the first that is no multiaddr or lacks its peer id.
 */
export function checkBootstrapAddresses(addresses: readonly string[]): readonly string[] {
  for (const address of addresses) parseBootstrap(address);
  return addresses;
}

function parseBootstrap(address: string): Multiaddr {
  try {
    const parsed = multiaddr(address);
    if (parsed.getComponents().some(({ name }) => name === 'p2p')) return parsed;
  } catch (cause) {
    throw new ConfigError(`bootstrap address ${JSON.stringify(address)} is not a multiaddr`, {
      cause,
    });
  }
  throw new ConfigError(
    `bootstrap address ${JSON.stringify(address)} lacks its peer id, expected …/p2p/12D3KooW…`,
  );
}

/** libp2p puts a stack for each address into one long message: kept are the addresses and what was wrong with them. */
function startFailure(listen: readonly string[], cause: unknown): ConfigError {
  const text = cause instanceof Error ? cause.message : String(cause);
  const faults = [...text.matchAll(/^\s+(\/\S+): (?:\w*Error: )?(.*)$/gm)].map(
    ([, address, fault]) => `${address}: ${fault}`,
  );
  const reason = faults.join('; ') || `${listen.join(', ')}: ${text.split('\n', 1)[0]}`;
  return new ConfigError(`cannot listen on ${reason}`, { cause });
}
