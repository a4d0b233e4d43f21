import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PublisherId } from '../../protocols/types.ts';
import { addModel } from '../support/models.ts';
import { moveRelease } from '../support/release-mover.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

describe('SwarmClient.searchModels', () => {
  let testnet: Testnet;
  let publisher: PublisherId;

  beforeAll(async () => {
    testnet = await createTestnet({ nodes: 2, clients: 1 });
    const describeModel = (metadata: object) => ({
      'swarm.json': JSON.stringify({ deployment: { minReplicas: 1 }, metadata }),
    });
    ({ publisher } = await testnet.publish(addModel(1), {
      name: 'digits',
      files: describeModel({
        task: 'image-classification',
        description: 'Reads one handwritten digit.',
        licence: 'Apache-2.0',
        labels: { language: 'none', size: 'small' },
      }),
    }));
    await testnet.publish(addModel(2), {
      name: 'language',
      files: describeModel({
        task: 'text-classification',
        description: 'Tells in which language a sentence is.',
        labels: { size: 'small' },
      }),
    });
    await testnet.publish(addModel(3), { name: 'plain', replicas: 1 });
  });
  afterAll(() => testnet[Symbol.asyncDispose]());

  const search = async (criteria: Parameters<Testnet['clients'][0]['searchModels']>[0]) =>
    (await testnet.clients[0]?.searchModels(criteria))?.models.map(({ name }) => name);

  it.each([
    ['nothing', {}, ['digits', 'language', 'plain']],
    ['a word of a description', { text: 'HANDWRITTEN' }, ['digits']],
    ['a word of a name', { text: 'lang' }, ['digits', 'language']],
    ['two words that one model has', { text: 'small sentence' }, ['language']],
    ['a task', { task: 'image-classification' }, ['digits']],
    ['a label', { labels: { size: 'small' } }, ['digits', 'language']],
    ['two labels', { labels: { size: 'small', language: 'none' } }, ['digits']],
    ['a value that no label has', { labels: { size: 'large' } }, []],
  ] as const)('finds by %s', async (_, criteria, names) => {
    await expect.poll(async () => search(criteria), { timeout: 30_000 }).toEqual(names);
  });

  it('finds both of two models that are the same bytes', async () => {
    await testnet.publish(addModel(4), { name: 'twin-a', replicas: 1 });
    await testnet.publish(addModel(4), { name: 'twin-b', replicas: 1 });
    const twins = async () => search({ text: 'twin' });
    await expect.poll(twins, { timeout: 30_000 }).toEqual(['twin-a', 'twin-b']);
  });

  it('finds by publisher, and nothing of another', async () => {
    const own = async () => (await search({ publisher }))?.length;
    await expect.poll(own, { timeout: 30_000 }).toBe(5);
    const other = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN' as PublisherId;
    expect(await search({ publisher: other })).toEqual([]);
  });

  it('tells of each model the newest record and what its manifest says, checked', async () => {
    const { sequence } = await moveRelease(testnet, { publisher, name: 'digits' }, (record) => [
      ['beta', { cid: record.channels['stable']?.cid ?? expect.fail('no stable') }],
    ]);
    const find = async () => (await testnet.clients[0]?.searchModels({ text: 'digits' }))?.models;
    await expect.poll(find, { timeout: 30_000 }).toMatchObject([
      {
        publisher,
        name: 'digits',
        record: { sequence },
        metadata: { task: 'image-classification', licence: 'Apache-2.0' },
        verified: true,
      },
    ]);
  });

  it('refuses a search that is longer than a query may be', async () => {
    const labels = Object.fromEntries(
      Array.from({ length: 4 }, (_, index) => [`label-${index}`, 'v'.repeat(256)]),
    );
    await expect(testnet.clients[0]?.searchModels({ labels })).rejects.toMatchObject({
      code: 'ERR_LIMIT',
    });
  });
});
