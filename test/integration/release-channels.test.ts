import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PublisherId, VersionCid } from '../../protocols/types.ts';
import { type InferResult, type SwarmClient, Tensor } from '../../src/index.ts';
import { addModel } from '../support/models.ts';
import { moveRelease } from '../support/release-mover.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

const x = Tensor.from('FP32', [1, 4], [0, 0, 0, 0]);

/** What the issue promises of a move. */
const BOUND_MS = 5_000;

interface Answer {
  readonly begunAtMs: number;
  readonly result: InferResult;
}

/** Keeps requests going until it is stopped, and remembers when each began and what answered. */
function ask(client: SwarmClient, reference: string) {
  const answers: Answer[] = [];
  const failures: unknown[] = [];
  let running = true;
  const worker = async (): Promise<void> => {
    while (running) {
      const begunAtMs = performance.now();
      try {
        answers.push({ begunAtMs, result: await client.infer(reference, { x }) });
      } catch (error) {
        failures.push(error);
      }
    }
  };
  const workers = [worker(), worker()];
  return {
    answers,
    failures,
    async stop(): Promise<void> {
      running = false;
      await Promise.all(workers);
    },
  };
}

/** Within what chance leaves of 200 draws: four standard deviations and more. */
function expectShare(channels: readonly (string | null)[], share: number): void {
  const canary = channels.filter((channel) => channel === 'canary').length / channels.length;
  expect(Math.abs(canary - share)).toBeLessThan(0.15);
}

describe('A channel that moves', () => {
  let testnet: Testnet;
  let publisher: PublisherId;
  let older: VersionCid;
  let newer: VersionCid;
  const model = () => ({ publisher, name: 'moving' });

  beforeAll(async () => {
    testnet = await createTestnet({ bootstraps: 2, nodes: 2, clients: 0 });
    const first = await testnet.publish(addModel(10), { name: 'moving' });
    const second = await testnet.publish(addModel(20), { name: 'moving' });
    publisher = first.publisher;
    older = first.cid;
    newer = second.cid;
  });
  afterAll(() => testnet[Symbol.asyncDispose]());

  it.each([
    { bootstrap: 'both bootstrap servers up', kill: false },
    { bootstrap: 'one bootstrap server dead', kill: true },
  ])(
    'is followed within 5 s by clients in use, full and light, with $bootstrap',
    async ({ kill }) => {
      const clients = await Promise.all(
        (['full', 'light', 'full', 'light'] as const).map((mode) => testnet.addClient({ mode })),
      );
      await moveRelease(testnet, model(), [['stable', { cid: newer }]]);
      const loads = clients.map((client) => ask(client, `${publisher}/moving`));
      await expect
        .poll(() => loads.every(({ answers }) => answers.at(-1)?.result.version === newer), {
          timeout: 30_000,
        })
        .toBe(true);
      if (kill) await testnet.bootstraps[0]?.stop();
      const { sequence } = await moveRelease(testnet, model(), [['stable', { cid: older }]]);
      const rolledBackAtMs = performance.now();
      await expect
        .poll(
          () =>
            loads.every(
              ({ answers }) => (answers.at(-1)?.begunAtMs ?? 0) > rolledBackAtMs + BOUND_MS + 1_000,
            ),
          {
            timeout: 30_000,
          },
        )
        .toBe(true);
      const late = await testnet.addClient({
        mode: 'light',
        bootstrap: testnet.bootstraps.at(-1)?.addresses ?? [],
      });
      expect(await late.infer(`${publisher}/moving`, { x })).toMatchObject({
        version: older,
        sequence,
      });
      await Promise.all(loads.map((load) => load.stop()));
      for (const { answers, failures } of loads) {
        expect(failures).toEqual([]);
        const withdrawn = answers.filter(
          ({ begunAtMs, result }) =>
            begunAtMs > rolledBackAtMs + BOUND_MS && result.version === newer,
        );
        expect(withdrawn).toEqual([]);
      }
      expect(await clients[0]?.infer(`${publisher}/moving@${newer}`, { x })).toMatchObject({
        version: newer,
        sequence: 0,
        channel: null,
      });
    },
  );

  it('gives a canary its share of the requests that name no channel, by their keys', async () => {
    const client = await testnet.addClient();
    await moveRelease(testnet, model(), [
      ['stable', { cid: older }],
      ['canary', { cid: newer, weight: 0.3 }],
    ]);
    const keys = Array.from({ length: 200 }, (_, index) => `user-${index}`);
    const sides = async (asker: SwarmClient) =>
      Promise.all(
        keys.map(async (key) => {
          const { version, channel } = await asker.infer(`${publisher}/moving`, { x }, { key });
          expect(version).toBe(channel === 'canary' ? newer : older);
          return channel;
        }),
      );
    const first = await sides(client);
    expectShare(first, 0.3);
    expect(await sides(await testnet.addClient({ mode: 'light' }))).toEqual(first);
    const explicit = async (channel: string) =>
      (await client.infer(`${publisher}/moving@${channel}`, { x })).version;
    expect(await Promise.all(keys.slice(0, 20).map(() => explicit('stable')))).toEqual(
      Array.from({ length: 20 }, () => older),
    );
    expect(await explicit('canary')).toBe(newer);
    await moveRelease(testnet, model(), [['canary', { cid: newer, weight: 0.6 }]]);
    await expect
      .poll(async () => (await client.infer(`${publisher}/moving`, { x })).sequence)
      .toBe((await client.releaseStatus(`${publisher}/moving`)).sequence);
    const wider = await sides(client);
    const back = first.filter(
      (channel, index) => channel === 'canary' && wider[index] !== 'canary',
    );
    expect(back).toEqual([]);
    expectShare(wider, 0.6);
  });
});
