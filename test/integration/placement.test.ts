import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { multiaddr } from '@multiformats/multiaddr';
import { describe, expect, it } from 'vitest';
import { publishVersion } from '../../src/client/publisher.ts';
import { packModel } from '../../src/model/package.ts';
import { addModel } from '../support/models.ts';
import { createTestFolder } from '../support/test-folder.ts';
import { createTestnet } from '../support/testnet.ts';

describe('publishVersion', () => {
  it('asks a node that it hears of while another refuses', async () => {
    await using testnet = await createTestnet({ nodes: 1, clients: 0 });
    const [willing] = testnet.nodes;
    await testnet.addNode({ allowPublishers: [] });
    // Up, but nobody has met it yet.
    const late = await testnet.addNode({ bootstrap: [] });
    await using folder = await createTestFolder();
    await writeFile(path.join(folder.path, 'model.onnx'), addModel());
    await using version = await packModel(folder.path);
    const peer = await testnet.addPeer();
    const { replicas } = await publishVersion(peer, version, {
      key: testnet.publisherKey,
      name: 'adder',
      replicas: 2,
      signal: AbortSignal.timeout(30_000),
      onProgress: (step) => {
        if (step.state === 'refused') {
          void peer.libp2p.dial(late.addresses.map((text) => multiaddr(text)));
        }
      },
    });
    expect(new Set(replicas)).toEqual(new Set([willing?.id, late.id]));
  });

  it('gives up, and says who refused, when no further node comes', async () => {
    await using testnet = await createTestnet({ nodes: 1, clients: 0 });
    const unwilling = await testnet.addNode({ allowPublishers: [] });
    await expect(testnet.publish(addModel(), { name: 'adder', replicas: 2 })).rejects.toMatchObject(
      {
        code: 'ERR_NO_NODE',
        details: { ready: 1, wanted: 2, refusals: [{ node: unwilling.id, code: 'ERR_FORBIDDEN' }] },
      },
    );
  });
});
