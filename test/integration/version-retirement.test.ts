import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { digestText, sha256 } from '../../protocols/digest.ts';
import type { PublisherId, VersionCid } from '../../protocols/types.ts';
import { rollBack } from '../../src/client/release-editor.ts';
import { moveRelease } from '../../src/client/release-move.ts';
import { type SwarmClient, Tensor } from '../../src/index.ts';
import { peerIdText } from '../../src/swarm/identity.ts';
import { present } from '../support/present.ts';
import { SUM_SHAPE, sumModel } from '../support/sum-model.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

const MIB = 1024 ** 2;
const TIMEOUT = { timeout: 20_000, interval: 50 };

/** Bytes that the models' files take on the disk of the only node, files with several names once. */
async function modelBytes({ folder }: Testnet): Promise<number> {
  const seen = new Map<number, number>();
  const names = await readdir(folder, { recursive: true });
  const stored = names.filter((name) => /store\/(versions|packed|partial)\//.test(name));
  for (const name of stored) {
    const found = await stat(path.join(folder, name)).catch(() => undefined);
    if (found?.isFile() === true) seen.set(found.ino, found.size);
  }
  return [...seen.values()].reduce((total, size) => total + size, 0);
}

describe('A version that no channel points at any more', () => {
  const publishTwo = async (testnet: Testnet) => {
    const [old, changed] = [sumModel(3), sumModel(33)];
    const first = await testnet.publish(old.bytes, { name: 'sum' });
    const second = await testnet.publish(changed.bytes, { name: 'sum' });
    return { old, changed, first: first.cid, second: second.cid };
  };
  const stateOf = (testnet: Testnet, cid: VersionCid): string | undefined =>
    testnet.nodes[0]?.replicas.get(cid)?.state;
  const answer = async (client: SwarmClient, ref: string): Promise<string> => {
    const x = Tensor.from('FP32', [...SUM_SHAPE], new Float32Array(1024 * 1024));
    const { outputs } = await client.infer(ref, { x });
    return digestText(sha256(present(Object.values(outputs)[0]).bytes));
  };

  it('leaves memory, is kept as what changed, and is loaded before anybody asks when it is rolled back to', async () => {
    await using testnet = await createTestnet({ nodes: 1, node: { retireAfterMs: 1_000 } });
    const { old, changed, first, second } = await publishTwo(testnet);
    await expect.poll(() => stateOf(testnet, first), TIMEOUT).toBe('cold');
    expect(stateOf(testnet, second)).toBe('ready');
    // A model of 24 MiB and the tensor of 4 MiB that differs, with the chunks around it.
    await expect.poll(() => modelBytes(testnet), TIMEOUT).toBeLessThan(34 * MIB);

    const publisher = peerIdText(testnet.publisherKey) as PublisherId;
    const ref = `${publisher}/sum`;
    const client = present(testnet.clients[0]);
    expect(await answer(client, ref)).toBe(changed.sum);
    await moveRelease(await testnet.addPeer(), {
      ...{ publisher, name: 'sum', signer: { key: testnet.publisherKey } },
      edit: (newest) => rollBack(newest, { publisher, name: 'sum', nowMs: Date.now() }),
      onUnready: ({ cid }) => {
        throw new Error(`nobody is known to serve ${cid}`);
      },
      signal: AbortSignal.timeout(20_000),
    });
    await expect.poll(() => stateOf(testnet, first), TIMEOUT).toBe('ready');
    await expect.poll(() => answer(client, ref), TIMEOUT).toBe(old.sum);
    await expect.poll(() => stateOf(testnet, second), TIMEOUT).toBe('cold');
  });

  it('still answers who names it by its CID', async () => {
    await using testnet = await createTestnet({ nodes: 1, node: { retireAfterMs: 1_000 } });
    const { old, first } = await publishTwo(testnet);
    await expect.poll(() => stateOf(testnet, first), TIMEOUT).toBe('cold');
    const publisher = peerIdText(testnet.publisherKey);
    expect(await answer(present(testnet.clients[0]), `${publisher}/sum@${first}`)).toBe(old.sum);
  });
});
