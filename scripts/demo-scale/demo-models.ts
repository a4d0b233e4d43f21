import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { PrivateKey } from '@libp2p/interface';
import type { VersionCid } from '../../protocols/types.ts';
import { publishVersion } from '../../src/client/publisher.ts';
import { packModel } from '../../src/model/package.ts';
import type { SwarmPeer } from '../../src/swarm/peer.ts';

/** `n INT64 [] = trips INT64 []`, after so many rounds of a loop: it takes as long as it is told to. */
const MODEL_FILE = path.join(import.meta.dirname, 'model.onnx');

/** A model of the demonstration that is released. */
export interface DemoModel {
  readonly name: string;
  /** `publisher/name`. */
  readonly reference: string;
  readonly cid: VersionCid;
}

export interface PublishInit {
  readonly folder: string;
  readonly peer: SwarmPeer;
  readonly key: PrivateKey;
  /** Milliseconds without a request after which it leaves its last node. */
  readonly toZeroMs: number;
  readonly maxReplicas: number;
  readonly signal: AbortSignal;
}

/** Publishes the loop under a name, on one node, as a model that may sleep. */
export async function publishDemoModel(name: string, init: PublishInit): Promise<DemoModel> {
  const { folder, peer, key, toZeroMs, maxReplicas, signal } = init;
  const directory = path.join(folder, `model-${name}`);
  await mkdir(directory, { recursive: true });
  await copyFile(MODEL_FILE, path.join(directory, 'model.onnx'));
  const deployment = { minReplicas: 0, maxReplicas, maxBatch: 1, scaleToZeroDelayMs: toZeroMs };
  // What tells one model from the other: without it they would be one version.
  const metadata = { description: `counts to a number, by ${name}` };
  await writeFile(path.join(directory, 'swarm.json'), JSON.stringify({ deployment, metadata }));
  await using version = await packModel(directory, { signal });
  const { publisher, cid } = await publishVersion(peer, version, {
    name,
    key,
    replicas: 1,
    signal,
  });
  return { name, reference: `${publisher}/${name}`, cid };
}
