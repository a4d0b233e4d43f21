import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub';
import { RPC } from '@chainsafe/libp2p-gossipsub/message';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { createMemorySequenceStore } from '../../protocols/release/index.ts';
import { seededRandom } from '../../src/sim/random.ts';
import { COPIES, DIGEST_BYTES } from '../../src/sim/scaling/gossip-ledger.ts';
import { createSwarmLibp2p, type SwarmLibp2p } from '../../src/swarm/libp2p.ts';
import type { BenchHost } from '../command.ts';
import { atMost, rounded, type Target } from '../report.ts';
import type { ExperimentResult, SimRow } from './experiments.ts';

const SWARMS = [20, 50, 100] as const;

/** Peers that each one dials: others dial it, so that it has twice as many. */
const DIALS = 4;

const MESSAGES = 200;

/** Milliseconds between two messages, and after the last one: heartbeats come once a second. */
const GAP_MS = 50;
const SETTLE_MS = 3_000;

const TOPIC = '/gpu-swarm/bench/calibration';

/** What gossipsub does with what comes; its interface does not say so. */
interface Receiver {
  handleReceivedRpc(from: unknown, rpc: Parameters<typeof RPC.encode>[0]): Promise<void>;
}

/** What a topic of so many real peers costs, and how fast it is. */
interface Calibration {
  readonly peers: number;
  /** Times the payload that reached a peer for each message: repeats and what the mesh says of itself included. */
  readonly copies: number;
  /** Bytes a second that reached a peer. */
  readonly bytesPerS: number;
  readonly p99DelayMs: number;
  /** Share of the messages that a peer did not get. */
  readonly lost: number;
}

/** Real peers in one process on one topic, for the simulator's assumptions about gossip. */
export async function calibration({ progress, signal }: BenchHost): Promise<ExperimentResult> {
  const rows: SimRow[] = [];
  const targets: Target[] = [];
  for (const peers of SWARMS) {
    signal.throwIfAborted();
    const what = `gossip of ${peers} real peers`;
    progress(what);
    const found = await calibrate(peers);
    rows.push(rowOf(what, found));
    targets.push(
      atMost(`${what}: bytes apart from the simulated`, Math.abs(found.copies / COPIES - 1), 0.1),
      atMost(`${what}: lost`, found.lost, 0.01),
    );
  }
  return { rows, targets, plots: [] };
}

/** In the columns of the simulated: messages are its requests, p99 is that of their delays. */
function rowOf(experiment: string, { peers, bytesPerS, p99DelayMs, lost }: Calibration): SimRow {
  return {
    ...{ experiment, seed: peers, nodes: peers, requests: MESSAGES, replicas: 0 },
    ...{ events: 0, eventsPerS: 0, failedShare: rounded(lost), p99Ms: rounded(p99DelayMs) },
    gossipBytesPerS: rounded(bytesPerS),
  };
}

async function calibrate(count: number): Promise<Calibration> {
  await using ends = new AsyncDisposableStack();
  const random = seededRandom(count);
  const peers: SwarmLibp2p[] = [];
  const sentAtMs = new Map<string, number>();
  const delaysMs: number[] = [];
  let bytes = 0;
  for (let index = 0; index < count; index += 1) {
    const peer = await startPeer();
    ends.defer(async () => peer.stop());
    await dialSome(peer, peers, random);
    peers.push(peer);
    const { gossip } = peer.services;
    gossip.topicValidators.set(TOPIC, (_from, { data }) => {
      const atMs = sentAtMs.get(idOf(data));
      if (atMs !== undefined) delaysMs.push(performance.now() - atMs);
      return TopicValidatorResult.Accept;
    });
    const receiver = gossip as unknown as Receiver;
    const receive = receiver.handleReceivedRpc.bind(gossip);
    receiver.handleReceivedRpc = async (from, rpc) => {
      bytes += RPC.encode(rpc).byteLength;
      return receive(from, rpc);
    };
    gossip.subscribe(TOPIC);
  }
  // Meshes form at heartbeats.
  await sleep(SETTLE_MS);
  bytes = 0;
  const fromMs = performance.now();
  for (let message = 0; message < MESSAGES; message += 1) {
    const data = randomBytes(DIGEST_BYTES);
    sentAtMs.set(idOf(data), performance.now());
    await peers[Math.floor(random() * count)]?.services.gossip.publish(TOPIC, data);
    await sleep(GAP_MS);
  }
  await sleep(SETTLE_MS);
  delaysMs.sort((a, b) => a - b);
  const expected = MESSAGES * (count - 1);
  return {
    peers: count,
    copies: bytes / (MESSAGES * DIGEST_BYTES * count),
    bytesPerS: bytes / count / ((performance.now() - fromMs) / 1_000),
    p99DelayMs: delaysMs[Math.floor(0.99 * delaysMs.length)] ?? Number.NaN,
    lost: 1 - delaysMs.length / expected,
  };
}

async function startPeer(): Promise<SwarmLibp2p> {
  return createSwarmLibp2p({
    network: 'bench',
    privateKey: await generateKeyPair('Ed25519'),
    dhtMode: 'client',
    listen: ['/ip4/127.0.0.1/tcp/0'],
    sequences: createMemorySequenceStore(),
  });
}

async function dialSome(
  peer: SwarmLibp2p,
  others: readonly SwarmLibp2p[],
  random: () => number,
): Promise<void> {
  const drawn = new Set<SwarmLibp2p>();
  while (drawn.size < Math.min(DIALS, others.length)) {
    const other = others[Math.floor(random() * others.length)];
    if (other !== undefined) drawn.add(other);
  }
  for (const other of drawn) await peer.dial(other.getMultiaddrs());
}

/** The first bytes of a message tell it from all others. */
function idOf(data: Uint8Array): string {
  return Buffer.from(data.subarray(0, 16)).toString('hex');
}
