import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addModel } from '../support/models.ts';
import { noise } from '../support/noise.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

/** Of several chunks. */
const NOTES = noise(5_000_000, 1);

let testnet: Testnet;
let reference: string;

beforeAll(async () => {
  testnet = await createTestnet({ nodes: 2, clients: 1 });
  const { publisher } = await testnet.publish(addModel(), {
    name: 'add',
    files: { 'notes.bin': NOTES, 'empty.txt': '' },
  });
  reference = `${publisher}/add`;
});
afterAll(() => testnet[Symbol.asyncDispose]());

describe('SwarmClient.readFile', () => {
  it('brings one file of a version, whole, from whoever of its holders lives', async () => {
    const [client] = testnet.clients;
    expect(await client?.readFile(reference, 'empty.txt')).toEqual(new Uint8Array());
    await testnet.nodes[0]?.stop();
    const bytes = await client?.readFile(reference, 'notes.bin');
    expect(Buffer.from(bytes ?? []).equals(NOTES)).toBe(true);
  });

  it('tells a file that is not there, and one beyond the bound, before it fetches any', async () => {
    const [client] = testnet.clients;
    await expect(client?.readFile(reference, '../swarm.json')).rejects.toMatchObject({
      ...{ code: 'ERR_NOT_FOUND', message: expect.stringContaining("no file '../swarm.json'") },
    });
    const bound = { maxBytes: NOTES.byteLength - 1 };
    await expect(client?.readFile(reference, 'notes.bin', bound)).rejects.toMatchObject({
      ...{ code: 'ERR_LIMIT', message: expect.stringContaining('has 5000000 bytes') },
    });
    const fits = { maxBytes: NOTES.byteLength };
    expect((await client?.readFile(reference, 'notes.bin', fits))?.byteLength).toBe(5_000_000);
  });
});
