import { generateKeyPair } from '@libp2p/crypto/keys';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createMemorySequenceStore } from '../../protocols/release/index.ts';
import { openEvidence, SwarmClient } from '../../src/client/client.ts';
import { resolveClientInit, type SwarmClientInit } from '../../src/client/client-init.ts';
import { type InferInputs, Tensor } from '../../src/index.ts';
import { SwarmPeer } from '../../src/swarm/peer.ts';
import { addModel } from '../support/models.ts';
import { createTestnet, type Testnet } from '../support/testnet.ts';

/** Exchanges that the stack makes by itself: the DHT looks for its own neighbours once it has a connection. */
const OF_THE_STACK = [/^\/ipfs\//, /^\/meshsub\//, /^\/floodsub\//, /\/kad\/1\.0\.0$/];

describe('The first answer of a client', () => {
  let testnet: Testnet;
  let reference = '';

  beforeAll(async () => {
    testnet = await createTestnet({ nodes: 3, clients: 1 });
    const { publisher } = await testnet.publish(addModel(1), { name: 'adder' });
    reference = `${publisher}/adder`;
    // The swarm runs once somebody has been answered: whoever is the way in has heard of the nodes.
    await testnet.clients[0]?.infer(reference, { x: [[0, 0, 0, 0]] });
  });
  afterAll(() => testnet[Symbol.asyncDispose]());

  /** What a client that has just been connected asks, by protocol and in order, until it has its first answer. */
  async function exchangesOf(
    mode: SwarmClientInit['mode'],
    inputs: InferInputs,
  ): Promise<{ readonly asked: readonly string[]; readonly sum: unknown }> {
    const { network, bootstrapAddresses: bootstrap } = testnet;
    const init = resolveClientInit({ network, bootstrap, mode });
    const peer = await SwarmPeer.start({
      network,
      bootstrap,
      privateKey: await generateKeyPair('Ed25519'),
      dhtMode: 'client',
      sequences: createMemorySequenceStore(),
    });
    await using client = new SwarmClient(peer, init, await openEvidence(init));
    const asked: string[] = [];
    peer.libp2p.addEventListener('connection:open', ({ detail: connection }) => {
      const open = connection.newStream.bind(connection);
      connection.newStream = (protocols, options) => {
        const [protocol = ''] = [protocols].flat();
        if (!OF_THE_STACK.some((pattern) => pattern.test(protocol))) {
          asked.push(protocol.replace(`/gpu-swarm/${network}/`, ''));
        }
        return open(protocols, options);
      };
    });
    await peer.connected(AbortSignal.timeout(10_000));
    const { dht } = peer.libp2p.services;
    const lookUps = [vi.spyOn(dht, 'get'), vi.spyOn(peer.libp2p.contentRouting, 'findProviders')];
    const { outputs } = await client.infer(reference, inputs);
    for (const lookUp of lookUps) expect(lookUp).not.toHaveBeenCalled();
    return { asked: [...asked], sum: outputs['sum']?.toNestedArray() };
  }

  it('comes within two round trips: one for the release and who serves it, one for the answer', async () => {
    const inputs = { x: Tensor.of('FP32', [[1, 2, 3, 4]]) };
    expect(await exchangesOf('light', inputs)).toEqual({
      asked: ['routing/1.0.0', 'inference/1.0.0'],
      sum: [[2, 3, 4, 5]],
    });
  });

  it('takes one more for plain values, which the manifest makes tensors', async () => {
    expect(await exchangesOf('light', { x: [[1, 2, 3, 4]] })).toEqual({
      asked: ['routing/1.0.0', expect.stringMatching(/^transfer\//), 'inference/1.0.0'],
      sum: [[2, 3, 4, 5]],
    });
  });
});
