import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { expect, it } from 'vitest';
import { VersionStore } from '../../node/store/version-store.ts';
import type { PublisherId } from '../../protocols/types.ts';
import { packModel } from '../../src/model/package.ts';
import { addModel } from '../support/models.ts';
import { present } from '../support/present.ts';
import { createTestnet } from '../support/testnet.ts';

it('A node that lost its publisher in the middle of a fetch and restarted fetches from the publisher that asks again', async () => {
  await using testnet = await createTestnet({ nodes: 1, clients: 0 });
  const folder = path.join(testnet.folder, 'cut-off');
  await mkdir(folder);
  await writeFile(path.join(folder, 'model.onnx'), addModel(3));
  await using version = await packModel(folder);

  // What a node that is killed while it fetches leaves: a version that it wants, and of which nobody around has a byte.
  await present(testnet.nodes[0]).stop();
  const dataDir = path.join(testnet.folder, 'node-2');
  const store = await VersionStore.open(path.join(dataDir, 'store'));
  const publisher = peerIdFromPrivateKey(testnet.publisherKey).toString() as PublisherId;
  await store.want({ publisher, name: 'cut-off', cid: version.cid, release: null });
  await store.close();
  const node = await testnet.addNode({ dataDir });
  await expect.poll(() => node.replicas.get(version.cid)?.state, { timeout: 10_000 }).toBeDefined();

  const published = await testnet.publish(addModel(3), { name: 'cut-off', replicas: 1 });
  expect(published).toMatchObject({ cid: version.cid, replicas: [node.id] });
});
