import { Writable } from 'node:stream';
import pino from 'pino';
import { describe, expect, it } from 'vitest';
import type { SwarmNode } from '../../node/index.ts';
import { lookupModel } from '../support/models.ts';
import { noise } from '../support/noise.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

const MIB = 1024 ** 2;
const SIZE = 8 * MIB;

/** A line of a node's log on a version that it has fetched. */
interface Fetched {
  readonly msg: string;
  /** Bytes by the peer that gave them. */
  readonly from: Readonly<Record<string, number>>;
}

async function addNode(testnet: Testnet): Promise<{ node: SwarmNode; fetched: Fetched[] }> {
  const fetched: Fetched[] = [];
  const sink = new Writable({
    write(line: Buffer, _, done) {
      const entry = JSON.parse(line.toString()) as Fetched;
      if (entry.msg === 'version fetched') fetched.push(entry);
      done();
    },
  });
  const node = await testnet.addNode({ logger: pino({ level: 'info' }, sink) });
  return { node, fetched };
}

describe('Nodes that fetch a version at the same time', () => {
  it('find each other while they do, and give each other what the source gave the other', async () => {
    await using testnet = await createTestnet({ nodes: 0, clients: 0 });
    const source = await testnet.addNode({ uploadLimitBytes: 2 * MIB });
    const model = {
      name: 'lookup',
      files: { 'weights.bin': noise(SIZE, 1) },
      signal: AbortSignal.timeout(50_000),
    };
    const graph = lookupModel(SIZE / 4096);
    await testnet.publish(graph, model);
    const [left, right] = [await addNode(testnet), await addNode(testnet)];
    // A publisher with room to spare would give both of them everything.
    const slow = { uploadLimitBytes: 2 * MIB, replicas: 3 };
    const { replicas } = await testnet.publish(graph, { ...model, ...slow });
    expect(new Set(replicas)).toEqual(new Set([source.id, left.node.id, right.node.id]));
    const [ofLeft, ofRight] = [left.fetched[0]?.from ?? {}, right.fetched[0]?.from ?? {}];
    const shared = (ofLeft[right.node.id] ?? 0) + (ofRight[left.node.id] ?? 0);
    expect(shared).toBeGreaterThan(0);
  });
});
