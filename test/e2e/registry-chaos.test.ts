import { randomInt } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { digestText, sha256 } from '../../protocols/digest.ts';
import { DEFAULT_NETWORK } from '../../protocols/protocol-id.ts';
import { decodeRelease, type ReleaseRecord } from '../../protocols/release/index.ts';
import { KeptReleases } from '../../src/cli/kept-releases.ts';
import { createClient, type SwarmClient, Tensor } from '../../src/index.ts';
import { seededRandom } from '../../src/sim/random.ts';
import { type DoomedResult, runDoomed } from '../support/doomed-command.ts';
import { addModel } from '../support/models.ts';
import { noise } from '../support/noise.ts';
import { present } from '../support/present.ts';
import { ProcessSwarm } from '../support/process-swarm.ts';
import { checkStore } from '../support/store-check.ts';
import type { Daemon } from '../support/swarm-command.ts';

/** The same seed kills after the same waits; where that is in the work depends on the machine. */
const SEED = Number(process.env['SWARM_CHAOS_SEED'] ?? randomInt(2 ** 31));

/** Who is killed in each round, and what it was heard to do before the wait begins. */
const ROUNDS = [
  { victim: 'publisher', after: 'start' },
  { victim: 'node', after: 'fetching' },
  { victim: 'node', after: 'ready' },
  { victim: 'publisher', after: 'start' },
  { victim: 'node', after: 'fetching' },
  { victim: 'publisher', after: 'ready' },
  { victim: 'releaser', after: 'start' },
] as const;

/** Longest wait between what is heard and the kill: a fetch of this size, and a record's way to the disk, take less. */
const MAX_WAIT_MS = 250;

/** Bytes beside the graph, new in each round: a fetch that takes more than a moment. */
const WEIGHT_BYTES = 8_000_000;

const NAME = 'chaos';

const SETTLED = { timeout: 30_000, interval: 100 };

describe(`Publishing under kill -9 (SWARM_CHAOS_SEED=${SEED} repeats it)`, () => {
  it('never leaves a store that does not verify, gives no sequence twice, and the newest release is served', async () => {
    await using swarm = await ProcessSwarm.create();
    await using scene = await Scene.open(swarm);
    await scene.publish(0);
    await scene.expectServed();
    const random = seededRandom(SEED);
    for (const [index, { victim, after }] of ROUNDS.entries()) {
      const round = index + 1;
      const share = random();
      if (victim === 'node') await scene.killNode(round, after, share * MAX_WAIT_MS);
      if (victim === 'publisher') await scene.killPublisher(round, after, share);
      if (victim === 'releaser') await scene.killRelease(share);
      await scene.expectServed();
      // Whoever was killed comes back and does again what it was about to do.
      const moves = victim === 'releaser';
      const again = moves ? await scene.release() : await scene.publish(round);
      expect(again.code, `round ${round}: ${again.stderr}`).toBe(0);
      await scene.expectServed(moves ? 0 : round);
    }
    expect(await scene.checkNode()).toHaveLength(
      1 + ROUNDS.filter(({ victim }) => victim !== 'releaser').length,
    );
  });
});

interface RunOptions {
  readonly killAfterMs?: number;
  /** Hears how the replica gets on; milliseconds from then are when the command is killed. */
  readonly onState?: (state: string) => number | undefined;
}

/** One node, one publisher with its data folder, one client that stays, and every record that was ever signed. */
class Scene implements AsyncDisposable {
  readonly #swarm: ProcessSwarm;
  readonly #client: SwarmClient;
  readonly #data: string;
  readonly #kept: KeptReleases;
  /** Signed records by sequence. */
  readonly #records = new Map<number, { readonly hash: string; readonly record: ReleaseRecord }>();
  #node: Daemon;
  #publisher = '';
  #firstVersion = '';
  #publishMs = 0;

  static async open(swarm: ProcessSwarm): Promise<Scene> {
    const node = await swarm.startNode('node');
    const client = await createClient({ bootstrap: [swarm.bootstrap.address] });
    return new Scene(swarm, node, client);
  }

  private constructor(swarm: ProcessSwarm, node: Daemon, client: SwarmClient) {
    this.#swarm = swarm;
    this.#node = node;
    this.#client = client;
    this.#data = path.join(swarm.folder, 'publisher');
    this.#kept = new KeptReleases(this.#data);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close();
  }

  /** Publishes the version of a round: for the first time, or again after something was killed. */
  async publish(round: number, options: RunOptions = {}): Promise<DoomedResult> {
    const folder = path.join(this.#swarm.folder, `round-${round}`);
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, 'model.onnx'), addModel(round));
    await writeFile(path.join(folder, 'weights.bin'), noise(WEIGHT_BYTES, round + 1));
    const args = ['publish', folder, '--name', NAME, '--replicas', '1'];
    const result = await this.#run(args, options);
    if (result.code === 0) this.#publishMs = result.durationMs;
    return result;
  }

  /** Points the channel at the first version again. */
  async release(options: RunOptions = {}): Promise<DoomedResult> {
    return this.#run(['release', 'set', NAME, 'stable', this.#firstVersion], options);
  }

  /** Kills `swarm release` at a share of the time that a publication takes, which is longer. */
  async killRelease(share: number): Promise<void> {
    await this.release({ killAfterMs: share * this.#publishMs });
  }

  /** Kills the publisher at a share of the time that its last publication took, or soon after it heard of a READY replica. */
  async killPublisher(round: number, after: 'start' | 'ready', share: number): Promise<void> {
    await this.publish(
      round,
      after === 'start'
        ? { killAfterMs: share * this.#publishMs }
        : { onState: (state) => (state === after ? share * MAX_WAIT_MS : undefined) },
    );
  }

  /** Kills the node a moment after the publisher was told that it fetches, or that its replica is READY. */
  async killNode(round: number, after: 'fetching' | 'ready', waitMs: number): Promise<void> {
    const heard = Promise.withResolvers<void>();
    const publishing = this.publish(round, {
      onState: (state) => {
        if (state === after) heard.resolve();
        return undefined;
      },
    });
    await Promise.race([heard.promise, publishing]);
    await delay(waitMs);
    await this.#node.kill();
    await publishing;
    await this.checkNode();
    this.#node = await this.#swarm.startNode('node');
  }

  /** Ends the node when it runs, checks its store through, and returns the versions it has. */
  async checkNode(): Promise<readonly string[]> {
    await this.#node.kill();
    const { versions, releases } = await checkStore(path.join(this.#swarm.folder, 'node', 'store'));
    for (const bytes of releases) await this.#note(bytes);
    return versions;
  }

  /** An answer comes, and is by the version that the record of its sequence names; of the newest, when it is to be `round`'s. */
  async expectServed(round?: number): Promise<void> {
    const newest = Math.max(...this.#records.keys());
    const ask = async () => {
      const { outputs, version, sequence } = await this.#client.infer(
        `${this.#publisher}/${NAME}`,
        { x: Tensor.from('FP32', [1, 4], [1, 2, 3, 4]) },
      );
      return { version, sequence, first: Number(outputs['sum']?.data[0]) };
    };
    await expect
      .poll(async () => {
        const { version, sequence, first } = await ask();
        const named = this.#records.get(sequence)?.record.channels['stable']?.cid;
        const late = round !== undefined && (sequence !== newest || first !== 1 + round);
        return version === named && !late ? 'served' : { version, named, sequence, first };
      }, SETTLED)
      .toBe('served');
  }

  async #run(args: readonly string[], options: RunOptions): Promise<DoomedResult> {
    const result = await runDoomed([...args, '--data', this.#data, '--json', ...this.#swarm.join], {
      cwd: this.#swarm.folder,
      killAfterMs: options.killAfterMs,
      onEvent: ({ event, state, publisher, version }) => {
        if (event === 'published' && this.#publisher === '') {
          this.#publisher = String(publisher);
          this.#firstVersion = String(version);
        }
        return event === 'progress' ? options.onState?.(String(state)) : undefined;
      },
    });
    await this.#noteKept();
    return result;
  }

  async #noteKept(): Promise<void> {
    if (this.#publisher === '') return;
    const key = { network: DEFAULT_NETWORK, publisher: this.#publisher, name: NAME };
    await this.#note(present(await this.#kept.read(key, AbortSignal.timeout(5_000))));
  }

  /** A sequence that is seen again must be the same record to the last bit. */
  async #note(bytes: Uint8Array): Promise<void> {
    const record = await decodeRelease(bytes);
    const hash = digestText(sha256(bytes));
    const { sequence } = record;
    expect({ sequence, hash }).toEqual({
      sequence,
      hash: this.#records.get(sequence)?.hash ?? hash,
    });
    this.#records.set(sequence, { hash, record });
  }
}
