import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createClient,
  type InferenceCall,
  type InferResult,
  isSwarmError,
  type SwarmClient,
} from '../../src/index.ts';
import { keepUntilTestEnds } from '../support/kept.ts';
import { loopModel } from '../support/models.ts';
import { ProcessSwarm } from '../support/process-swarm.ts';
import type { Daemon } from '../support/swarm-command.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

/** Rounds of the loop model that take a second or more: whatever is done to the node meets it in the middle of its answer. */
const LONG = 2_000_000n;

/** Longer than two answers take on a busy machine, and what is lost before the second. */
const DEADLINE_MS = 60_000;

/** Not enough for a node that never answers, but for one that is told at once that its connection is gone. */
const SHORT_DEADLINE_MS = 4_000;

const READY = { timeout: 60_000, interval: 100 };

/** A swarm of one node that is dialled through a proxy, and as many others as a test wants, with a client that knows all of them. */
class Scene implements AsyncDisposable {
  readonly #swarm: ProcessSwarm;
  readonly proxy: TcpProxy;
  readonly reference: string;
  readonly #version: string;
  victim: Daemon;

  static async open(others: number): Promise<Scene> {
    const swarm = await ProcessSwarm.create();
    const proxy = await TcpProxy.listen();
    const [victim] = await Promise.all([
      startVictim(swarm, proxy),
      ...Array.from({ length: others }, (_, index) => swarm.startNode(`other-${index}`, ...NODE)),
    ]);
    const { reference, version } = await swarm.publish('loop', { 'model.onnx': loopModel() }, [
      ...['--replicas', String(1 + others)],
    ]);
    return new Scene(swarm, { proxy, victim, reference, version });
  }

  private constructor(
    swarm: ProcessSwarm,
    {
      version,
      ...parts
    }: Pick<Scene, 'proxy' | 'victim' | 'reference'> & { readonly version: string },
  ) {
    this.#swarm = swarm;
    this.#version = version;
    this.proxy = parts.proxy;
    this.victim = parts.victim;
    this.reference = parts.reference;
  }

  async restart(): Promise<void> {
    this.victim = await startVictim(this.#swarm, this.proxy);
  }

  /** A client that has heard from the victim itself, since then, that it is READY. */
  async client(): Promise<SwarmClient> {
    const sinceMs = Date.now();
    const client = await createClient({ bootstrap: [this.#swarm.bootstrap.address] });
    await expect
      .poll(async () => {
        const replicas = await client.replicas();
        return replicas.some(
          ({ node, version, heardAtMs }) =>
            node.announcement.node === this.victim.id &&
            version.cid === this.#version &&
            version.state === 'ready' &&
            heardAtMs > sinceMs,
        );
      }, READY)
      .toBe(true);
    return client;
  }

  /** A call that is under way at the victim. In an object: a promise that is returned would be waited for. */
  async callVictim(
    client: SwarmClient,
    deadlineMs: number,
  ): Promise<{ readonly call: InferenceCall }> {
    const sent = Promise.withResolvers<void>();
    const call = client.infer(
      this.reference,
      { trips: LONG },
      {
        deadlineMs,
        prefer: { nodes: [this.victim.id] },
        onProgress: (progress) => {
          if (progress.kind === 'sent' && progress.node === this.victim.id) sent.resolve();
        },
      },
    );
    await Promise.race([sent.promise, call]);
    // It is on its way; a moment later the node is in the middle of it.
    await delay(100);
    return { call };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#swarm[Symbol.asyncDispose]();
    await this.proxy[Symbol.asyncDispose]();
  }
}

/** The loop may take as long as the machine needs, and news is told often. */
const NODE = ['--loop-limit', '60000', '--announce-interval', '1000'] as const;

async function startVictim(swarm: ProcessSwarm, proxy: TcpProxy): Promise<Daemon> {
  const reach = ['--listen', proxy.behind, '--announce', proxy.address];
  return swarm.startNode('victim', ...NODE, ...reach);
}

interface Failure {
  readonly name: string;
  readonly strike: (scene: Scene) => Promise<void> | void;
  /** Makes it well again. */
  readonly heal: (scene: Scene) => Promise<void> | void;
}

const FAILURES: readonly Failure[] = [
  { name: 'is killed', strike: ({ victim }) => victim.kill(), heal: (scene) => scene.restart() },
  {
    name: 'freezes',
    strike: ({ victim }) => void process.kill(victim.pid, 'SIGSTOP'),
    heal: ({ victim }) => void process.kill(victim.pid, 'SIGCONT'),
  },
  { name: 'has its connections reset', strike: ({ proxy }) => proxy.reset(), heal: () => {} },
  {
    name: 'is cut off without a FIN or RST',
    strike: ({ proxy }) => proxy.swallow(),
    heal: ({ proxy }) => proxy.heal(),
  },
];

describe.skipIf(process.platform !== 'linux')('A node (needs Linux)', () => {
  const keep = keepUntilTestEnds();
  let pair: Scene;
  let lone: Scene;

  beforeAll(async () => {
    [pair, lone] = await Promise.all([Scene.open(1), Scene.open(0)]);
  });
  afterAll(async () => {
    await Promise.all([pair[Symbol.asyncDispose](), lone[Symbol.asyncDispose]()]);
  });

  describe.each(FAILURES)('that $name while it answers', ({ strike, heal }) => {
    it('costs its caller nothing while another one is well', async () => {
      const client = keep(await pair.client());
      const { call } = await pair.callVictim(client, DEADLINE_MS);
      await strike(pair);
      const result = await call;
      expectRight(result, LONG);
      await heal(pair);
    });

    it('gives its caller an answer or one typed error by the deadline when it is alone, and answers when it is well', async () => {
      const client = keep(await lone.client());
      const { call } = await lone.callVictim(client, SHORT_DEADLINE_MS);
      const ending = call.catch((error: unknown) => error);
      await strike(lone);
      const ended = await ending;
      if (ended instanceof Error) {
        expect(isSwarmError(ended), String(ended)).toBe(true);
        // Busy: who comes back over a new connection finds the node still at the run that nobody waits for any more.
        expect(ended).toMatchObject({
          code: expect.stringMatching(/^ERR_(BUSY|CONNECTION|DEADLINE|NO_NODE)$/),
        });
      } else expectRight(ended as InferResult, LONG);
      await heal(lone);
      const after = await client.infer(lone.reference, { trips: 5n }, { deadlineMs: DEADLINE_MS });
      expectRight(after, 5n);
    });
  });
});

function expectRight({ outputs }: InferResult, trips: bigint): void {
  expect(outputs['n']?.toArray()).toEqual([trips]);
}
