/**
 * `npm run demo:scale`: a swarm that scales itself, on this machine, live, in under two minutes. Load rises on one model and
 * replicas appear on idle nodes; it moves to another model and the replicas follow; it ends, and both sleep; the first request
 * wakes one node. Ends non-zero if a request failed or something did not happen in time.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { DeadlineError } from '../protocols/errors.ts';
import { createMemorySequenceStore } from '../protocols/release/index.ts';
import { LocalSwarm } from '../src/cli/up/local-swarm.ts';
import { createClient, type SwarmClient } from '../src/client/client.ts';
import { resolveScalingInit } from '../src/policy/scaling/scaling-settings.ts';
import { SwarmPeer } from '../src/swarm/peer.ts';
import { ScalingOnlooker } from '../src/swarm/scaling-onlooker.ts';
import { Callers, tripsForOneRun } from './demo-scale/callers.ts';
import { type DemoModel, publishDemoModel } from './demo-scale/demo-models.ts';
import { DemoPicture } from './demo-scale/demo-picture.ts';

const NODES = 4;
const NETWORK = 'demo-scale';

/** Callers that ask one after another: more than one node answers at once. */
const CALLERS = 8;

const MAX_REPLICAS = 3;
const TO_ZERO_MS = 5_000;

/** A tenth of what is usual, so that nobody need wait for minutes. */
const SCALING = {
  stableWindowMs: 6_000,
  panicWindowMs: 1_500,
  tickMs: 500,
  upDelayMs: 1_000,
  downDelayMs: 5_000,
};

/** How long each step may take on a slow machine. */
const STEP_TIMEOUT_MS = 45_000;

const stopping = new AbortController();
process.once('SIGINT', () => stopping.abort());

const startedAtMs = performance.now();
const say = (line: string): void => {
  const seconds = ((performance.now() - startedAtMs) / 1_000).toFixed(1).padStart(5);
  console.log(`${seconds} s  ${line}`);
};

await using swarm = await LocalSwarm.create({
  ...{ nodes: NODES, network: NETWORK, data: undefined, allowPublishers: [], threads: 1 },
  nodeArgs: [
    `--stable-window=${SCALING.stableWindowMs}`,
    `--panic-window=${SCALING.panicWindowMs}`,
    `--scaling-tick=${SCALING.tickMs}`,
    `--up-delay=${SCALING.upDelayMs}`,
    `--down-delay=${SCALING.downDelayMs}`,
  ],
  env: process.env,
  onReady: () => {},
  onLost: (name, why) => {
    say(`${name} ended by itself: ${why}`);
    process.exitCode = 1;
  },
});
await swarm.startBootstrap(stopping.signal);
await swarm.startNodes(stopping.signal);
say(`${NODES} nodes serve, each a process of this machine; none holds a model`);

const peer = await SwarmPeer.start({
  network: NETWORK,
  privateKey: await generateKeyPair('Ed25519'),
  dhtMode: 'client',
  bootstrap: [swarm.bootstrapAddress],
  sequences: createMemorySequenceStore(),
});
const onlooker = new ScalingOnlooker(peer, resolveScalingInit(SCALING));
try {
  await using client = await createClient({
    network: NETWORK,
    bootstrap: [swarm.bootstrapAddress],
  });
  await peer.connected(within(STEP_TIMEOUT_MS));
  await run(client);
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
} finally {
  await onlooker.stop();
  await peer.stop();
}

async function run(client: SwarmClient): Promise<void> {
  const publish = async (name: string): Promise<DemoModel> =>
    publishDemoModel(name, {
      ...{ folder: swarm.folder, peer, key: await swarm.publisherKey() },
      ...{ toZeroMs: TO_ZERO_MS, maxReplicas: MAX_REPLICAS },
      signal: within(STEP_TIMEOUT_MS),
    });
  const day = await publish('day');
  const night = await publish('night');
  const picture = new DemoPicture([day, night], { onlooker, swarm, say });
  say(`two models are published, each on one node; each may have up to ${MAX_REPLICAS} replicas`);
  const callers = new Callers(client, await tripsForOneRun(client, day.reference));
  try {
    await scale({ day, night, picture, callers });
  } finally {
    await callers.stop();
  }
  const { answered, failures } = callers;
  say(`${answered} requests were answered, ${failures.length} failed`);
  for (const failure of new Set(failures)) say(`  ${failure}`);
  if (failures.length > 0) process.exitCode = 1;
}

interface Stage {
  readonly day: DemoModel;
  readonly night: DemoModel;
  readonly picture: DemoPicture;
  readonly callers: Callers;
}

/** Load rises, moves, ends, and comes back. */
async function scale({ day, night, picture, callers }: Stage): Promise<void> {
  const until = (what: string, holds: () => boolean): Promise<void> => wait(picture, what, holds);

  say(`${CALLERS} callers ask for 'day', over and over`);
  callers.start(day.reference, CALLERS);
  await until(`'day' has ${MAX_REPLICAS} replicas`, () => picture.ready(day) >= MAX_REPLICAS);
  say(
    `idle nodes have fetched it from the first and serve it too: ${callers.answered} answers so far`,
  );

  say("the callers go over to 'night'");
  await callers.stop();
  callers.start(night.reference, CALLERS);
  await until(
    `'night' has ${MAX_REPLICAS} replicas, and 'day' has left them`,
    () => picture.ready(night) >= MAX_REPLICAS && picture.ready(day) <= 1,
  );
  say(`the replicas have followed: ${callers.answered} answers so far`);

  await callers.stop();
  say('nobody asks any more');
  await until('both sleep', () => picture.ready(day) + picture.ready(night) === 0);
  say('no node has either of them in memory; the files stay on their disks');

  say("one caller asks for 'day'");
  const wokenMs = await callers.once(day.reference);
  await until("'day' is awake on one node", () => picture.ready(day) === 1);
  say(`one node was woken, and answered after ${Math.round(wokenMs)} ms`);
}

/** A signal that aborts then, or on Ctrl-C. */
function within(ms: number): AbortSignal {
  return AbortSignal.any([stopping.signal, AbortSignal.timeout(ms)]);
}

/** Tells of changes until something holds. */
async function wait(picture: DemoPicture, what: string, holds: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + STEP_TIMEOUT_MS;
  for (;;) {
    picture.look();
    if (holds()) return;
    if (performance.now() > deadlineMs) {
      throw new DeadlineError(`expected within ${STEP_TIMEOUT_MS} ms: ${what}`, 'total');
    }
    await delay(SCALING.tickMs / 2, undefined, { signal: stopping.signal });
  }
}
