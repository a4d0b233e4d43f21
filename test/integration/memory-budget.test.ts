import { readdir, readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { SwarmNode } from '../../node/index.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { Tensor } from '../../src/index.ts';
import { addModel, lookupModel, loopModel } from '../support/models.ts';
import { present } from '../support/present.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

const MIB = 1024 * 1024;
const WAIT = { timeout: 20_000, interval: 20 };

/** Room for one small model, whose process has some 75 MiB for itself, and not for two. */
const ROOM_FOR_ONE = 150 * MIB;

const x = Tensor.from('FP32', [1, 4], [1, 2, 3, 4]);
const trips = (count: bigint) => ({ trips: Tensor.from('INT64', [], [count]) });

const stateOf = (node: SwarmNode, cid: VersionCid): string | undefined =>
  node.replicas.get(cid)?.state;

/** Bytes of anonymous memory of all children of this process. */
async function anonymousBytes(): Promise<number> {
  let bytes = 0;
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    if (!status.includes(`PPid:\t${process.pid}\n`)) continue;
    bytes += Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  }
  return bytes;
}

describe('A node with memory for one of its versions', () => {
  let testnet: Testnet;
  let node: SwarmNode;
  beforeAll(async () => {
    testnet = await createTestnet({
      nodes: 1,
      clients: 1,
      // The loop that runs beside the others takes as long as a busy host makes it take.
      node: { maxMemoryBytes: ROOM_FOR_ONE, loopLimitMs: 60_000, executionLimitMs: 60_000 },
    });
    node = present(testnet.nodes[0]);
  });
  afterAll(() => testnet[Symbol.asyncDispose]());

  it('keeps the others on its disk, announced as cold, and loads each when it is asked for', async () => {
    const client = present(testnet.clients[0]);
    const first = await testnet.publish(addModel(1), { name: 'first' });
    const second = await testnet.publish(addModel(2), { name: 'second' });
    expect([stateOf(node, first.cid), stateOf(node, second.cid)]).toEqual(['cold', 'ready']);
    const cold = node.replicas.announced().find(({ cid }) => cid === first.cid);
    expect(cold).toMatchObject({ state: 'cold', etaMs: expect.any(Number) as unknown });
    const answer = await client.infer(`${first.publisher}/first`, { x });
    expect(answer.outputs['sum']?.toArray()).toEqual([2, 3, 4, 5]);
    expect(answer.failedAttempts[0]).toMatchObject({ code: 'ERR_LOADING' });
    expect([stateOf(node, first.cid), stateOf(node, second.cid)]).toEqual(['ready', 'cold']);
  });

  it('loads a cold version once for many who ask at the same time', async () => {
    const { cid, publisher } = await testnet.publish(addModel(3), { name: 'wanted' });
    await testnet.publish(addModel(4), { name: 'other' });
    expect(stateOf(node, cid)).toBe('cold');
    const clients = await Promise.all([1, 2, 3].map(() => testnet.addClient()));
    let processes = 0;
    const replica = present(node.replicas.get(cid));
    const loaded = vi.spyOn(replica, 'loaded').mockImplementation(function (
      this: typeof replica,
      ...args: Parameters<typeof replica.loaded>
    ) {
      processes += 1;
      loaded.mockRestore();
      replica.loaded(...args);
    });
    const answers = await Promise.all(
      clients.flatMap((client) => [1, 2].map(() => client.infer(`${publisher}/wanted`, { x }))),
    );
    expect(answers.map(({ outputs }) => outputs['sum']?.toArray()[0])).toEqual(Array(6).fill(4));
    expect(processes).toBe(1);
    expect(replica.model?.state).toBe('ready');
  });

  it('never evicts a version that runs a request, and says to others what they lack', async () => {
    const client = present(testnet.clients[0]);
    const loop = await testnet.publish(loopModel(), { name: 'loop' });
    const waiting = await testnet.publish(addModel(5), { name: 'waiting' });
    const { publisher } = loop;
    await client.infer(`${publisher}/loop`, trips(1n));
    const running = client.infer(`${publisher}/loop`, trips(3_000_000n), { deadlineMs: 60_000 });
    await vi.waitFor(
      () => expect(node.replicas.get(loop.cid)?.queue?.load().inFlight).toBe(1),
      WAIT,
    );
    // Who asks before the node has tried to load it is told how long loads take here, which on a busy host is past any deadline.
    await vi.waitFor(async () => {
      const refused = client.infer(`${publisher}/waiting`, { x }, { deadlineMs: 1_500 });
      await expect(refused).rejects.toMatchObject({
        code: 'ERR_BUSY',
        message: expect.stringMatching(
          /version needs [\d.]+ MiB of the host's memory, this node has [\d.]+ MiB free and 0 B idle of 150 MiB/,
        ) as unknown,
      });
    }, WAIT);
    expect(stateOf(node, loop.cid)).toBe('ready');
    expect((await running).outputs['n']?.toArray()).toEqual([3_000_000n]);
    const answer = await client.infer(`${publisher}/waiting`, { x });
    expect(answer.outputs['sum']?.toArray()).toEqual([6, 7, 8, 9]);
    expect(stateOf(node, waiting.cid)).toBe('ready');
  });

  it('refuses for good a version that would not fit alone', async () => {
    const files = { 'swarm.json': JSON.stringify({ deployment: { memoryBytes: 100 * MIB } }) };
    const publication = testnet.publish(addModel(6), { name: 'large', files });
    await expect(publication).rejects.toThrow('this node gives its models 150 MiB in all');
  });

  it.skipIf(process.platform !== 'linux')('has the memory back of what it evicts', async () => {
    const rows = 4_096;
    const weights = new Uint8Array(rows * 4096).fill(1);
    const before = await anonymousBytes();
    const { cid } = await testnet.publish(lookupModel(rows), {
      name: 'lookup',
      files: { 'weights.bin': weights },
    });
    const replica = present(node.replicas.get(cid));
    expect(await anonymousBytes()).toBeGreaterThan(16 * MIB);
    expect(node.replicas.ledger.usedBytes('host')).toBe(await anonymousBytes());
    expect(replica.model?.memoryBytes).toBeGreaterThan(await anonymousBytes());
    await node.replicas.sleep(cid);
    expect(await anonymousBytes()).toBeLessThanOrEqual(before);
    expect(await anonymousBytes()).toBe(0);
    expect(node.replicas.ledger.usedBytes('host')).toBe(0);
  });
});
