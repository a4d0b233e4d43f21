import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Tensor } from '../../src/index.ts';
import { addModel } from '../support/models.ts';
import { present } from '../support/present.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

const golden = (expected: number): string =>
  JSON.stringify({
    cases: [
      {
        inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4], data: [1, 2, 3, 4] }],
        outputs: [{ name: 'sum', datatype: 'FP32', shape: [1, 4], data: [2, 3, 4, expected] }],
      },
    ],
  });

describe('A version with golden vectors', () => {
  let testnet: Testnet;
  beforeAll(async () => {
    testnet = await createTestnet({ nodes: 2, clients: 1 });
  });
  afterAll(() => testnet[Symbol.asyncDispose]());

  it('is READY where they come out right, and its manifest says that it has them', async () => {
    const files = { 'golden.json': golden(5) };
    const { replicas, publisher } = await testnet.publish(addModel(1), { name: 'right', files });
    expect(replicas).toHaveLength(2);
    const manifest = await testnet.clients[0]?.manifest(`${publisher}/right`);
    expect(manifest?.golden).toEqual({ file: 'golden.json' });
  });

  it('is refused by every node where they do not, said to the publisher, and gone from all', async () => {
    const files = { 'golden.json': golden(6) };
    const publication = testnet.publish(addModel(1), { name: 'wrong', files });
    await expect(publication).rejects.toMatchObject({
      code: 'ERR_NO_NODE',
      message: expect.stringContaining(
        "golden vector 0 of golden.json on cpu: element 3 of output 'sum' is 5, expected 6 within 0.001 absolute and 0.01 relative",
      ) as unknown,
    });
    const error: unknown = await publication.catch((reason: unknown) => reason);
    const { refusals } = (error as { details: { refusals: { code: string }[] } }).details;
    expect(refusals.map(({ code }) => code)).toEqual(['ERR_INVALID_MODEL', 'ERR_INVALID_MODEL']);
    for (const node of testnet.nodes) {
      const states = node.replicas.announced().map(({ name, state }) => `${name} ${state}`);
      expect(states).toContain('wrong gone');
    }
  });

  it('may wait in a queue as short as its manifest says', async () => {
    const { cid } = await testnet.publish(addModel(3), {
      name: 'short',
      files: { 'swarm.json': JSON.stringify({ deployment: { maxQueued: 1 } }) },
    });
    const queue = present(testnet.nodes[0]?.replicas.get(cid)?.queue);
    const x = { name: 'x', tensor: Tensor.from('FP32', [1, 4], [1, 2, 3, 4]) };
    const submitted = [0, 1, 2].map(() => queue.submit([x]));
    const outcomes = await Promise.allSettled(submitted);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
  });
});
