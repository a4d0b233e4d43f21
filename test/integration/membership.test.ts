import { generateKeyPair } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import pino from 'pino';
import { describe, expect, it } from 'vitest';
import { createBootstrapServer } from '../../bootstrap/index.ts';
import { createClient, Tensor } from '../../src/index.ts';
import { addModel } from '../support/models.ts';
import { createTestnet } from '../support/testnet.ts';

const row = Tensor.from('FP32', [1, 4], [1, 2, 3, 4]);
const answer = [2, 3, 4, 5];

describe('A swarm', () => {
  it('serves and publishes when every bootstrap server is dead', async () => {
    await using testnet = await createTestnet({ bootstraps: 2, nodes: 3, clients: 1 });
    const { publisher } = await testnet.publish(addModel(), { name: 'before' });
    const [client] = testnet.clients;
    await client?.infer(`${publisher}/before`, { x: row });
    await Promise.all(testnet.bootstraps.map((server) => server.stop()));

    const served = await client?.infer(`${publisher}/before`, { x: row });
    expect(served?.outputs['sum']?.toArray()).toEqual(answer);
    const nodes = testnet.nodes.flatMap(({ addresses }) => addresses);
    const late = await testnet.addClient({ bootstrap: nodes });
    expect((await late.infer(`${publisher}/before`, { x: row })).outputs['sum']?.toArray()).toEqual(
      answer,
    );
  });

  it('takes a node back whose peers had all vanished', async () => {
    await using testnet = await createTestnet({ nodes: 1, clients: 0 });
    const [server] = testnet.bootstraps;
    const [node] = testnet.nodes;
    const address = server?.addresses[0] ?? '';
    await server?.stop();
    await expect.poll(() => node?.peers.length, { timeout: 10_000 }).toBe(0);

    await using returned = await createBootstrapServer({
      dataDir: `${testnet.folder}/bootstrap-1`,
      network: testnet.network,
      listen: [address.replace(/\/p2p\/.*$/, '')],
      mdns: false,
      logger: pino({ level: 'silent' }),
    });
    expect(returned.addresses).toContain(address);
    await expect.poll(() => node?.peers, { timeout: 15_000 }).toContain(returned.id);
  });

  it('finds a node again under the same id, with its models, after it restarted', async () => {
    await using testnet = await createTestnet({ nodes: 1, clients: 1 });
    const { publisher, cid } = await testnet.publish(addModel(), { name: 'kept' });
    const [node] = testnet.nodes;
    await node?.stop();
    const again = await testnet.addNode({ dataDir: `${testnet.folder}/node-2` });
    expect(again.id).toBe(node?.id);
    const [client] = testnet.clients;
    await expect.poll(() => again.replicas.get(cid)?.state, { timeout: 15_000 }).toBe('ready');
    const served = await client?.infer(`${publisher}/kept`, { x: row });
    expect(served).toMatchObject({ node: again.id, version: cid });
  });

  it('tells of each node its owner, zone, tags, devices and versions, and clients may prefer them for it', async () => {
    const ownerKey = await generateKeyPair('Ed25519');
    await using testnet = await createTestnet({
      nodes: 1,
      node: { ownerKey, zone: 'attic', tags: ['ecc', 'gdpr'] },
    });
    const own = await testnet.addNode({ ownerKey: undefined, zone: '', tags: [] });
    const { cid, publisher } = await testnet.publish(addModel(), { name: 'adder' });
    const [client] = testnet.clients;
    await expect.poll(async () => (await client?.nodes())?.length, { timeout: 10_000 }).toBe(2);
    const nodes = (await client?.nodes())?.map(({ announcement }) => announcement) ?? [];
    const byId = new Map(nodes.map((node) => [node.node, node]));
    const owned = byId.get(testnet.nodes[0]?.id ?? own.id);
    expect(owned).toMatchObject({
      owner: peerIdFromPrivateKey(ownerKey).toString(),
      zone: 'attic',
      tags: ['ecc', 'gdpr'],
    });
    expect(byId.get(own.id)?.tags).toBeUndefined();
    expect(byId.get(own.id)).toMatchObject({ owner: own.id, zone: '' });
    expect(owned?.devices[0]).toMatchObject({ kind: 'cpu', providers: ['cpu'] });
    const replicas = (await client?.replicas()) ?? [];
    expect(replicas.filter(({ version }) => version.cid === cid)).toHaveLength(2);
    for (let calls = 0; calls < 6; calls += 1) {
      const prefer = { tags: ['none', 'gdpr'] };
      const answer = await client?.infer(`${publisher}/adder`, { x: row }, { prefer });
      expect(answer?.node).toBe(owned?.node);
    }
  });

  it('finds itself on the local network without any address', async () => {
    await using testnet = await createTestnet({ bootstraps: 0, nodes: 0, clients: 0 });
    const listen = ['/ip4/0.0.0.0/tcp/0'];
    const first = await testnet.addNode({ bootstrap: [], mdns: true, listen });
    const second = await testnet.addNode({ bootstrap: [], mdns: true, listen });
    await expect.poll(() => first.peers, { timeout: 20_000 }).toContain(second.id);
    await using client = await createClient({ mdns: true, network: testnet.network });
    await expect.poll(async () => (await client.nodes()).length, { timeout: 10_000 }).toBe(2);
  });

  it('keeps peers of another network out', async () => {
    await using testnet = await createTestnet({ nodes: 1, clients: 0 });
    const { publisher } = await testnet.publish(addModel(), { name: 'adder' });
    const stranger = await testnet.addClient({ network: `${testnet.network}-other` });
    await expect(
      stranger.infer(`${publisher}/adder`, { x: row }, { deadlineMs: 3_000 }),
    ).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_(NOT_FOUND|DEADLINE)$/) });
  });
});
