import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { BenchHost } from '../command.ts';
import { type ModelInit, writeModel } from './model.ts';
import { OURS } from './mover.ts';
import { PeerProcess } from './peer-process.ts';
import type { Sample } from './row.ts';

/** A further version of a model that the sink has already. */
export interface Revision {
  readonly title: string;
  /** How it differs from the first version. */
  readonly change: Omit<ModelInit, 'tensors'>;
}

export interface DedupOptions {
  readonly tensors: number;
  readonly folder: string;
  readonly revisions: readonly Revision[];
  readonly profileDir?: string | undefined;
}

/** A fetch of a version that resembles one on the disk, and what the disk then holds more than before. */
export interface DedupSample extends Sample {
  readonly storedBytes: number;
}

/** Fetches a model, then each revision of it beside the first; real packer, stores and network. */
export async function measureDedup(
  { tensors, folder, revisions, profileDir }: DedupOptions,
  host: BenchHost,
): Promise<ReadonlyMap<Revision, DedupSample>> {
  const init = { mover: OURS, folder, profileDir };
  const file = path.join(folder, 'model.onnx');
  const source = await PeerProcess.start({ ...init, what: 'dedup source' });
  const samples = new Map<Revision, DedupSample>();
  try {
    const sink = await PeerProcess.start({ ...init, what: 'dedup sink' });
    try {
      await sink.connect([source]);
      for (const revision of [{ title: 'first version', change: {} }, ...revisions]) {
        host.signal.throwIfAborted();
        host.progress(`dedup: ${revision.title}`);
        await writeModel(file, { tensors, ...revision.change });
        const reference = await source.hold(file);
        const sample = await measureOne(source, sink, reference);
        if (!revisions.includes(revision)) continue;
        samples.set(revision, sample);
        // The next is compared with the first version, not with this one.
        await sink.forget(reference);
      }
    } finally {
      await sink.stop();
    }
  } finally {
    await source.stop();
    await rm(file, { force: true });
  }
  return samples;
}

async function measureOne(
  source: PeerProcess,
  sink: PeerProcess,
  reference: string,
): Promise<DedupSample> {
  const storedBefore = await diskBytes(sink.folder);
  const cpuBefore = await source.cpuSeconds();
  const { seconds, movedBytes, cpuSeconds } = await sink.fetch(reference, [source]);
  return {
    seconds,
    movedBytes,
    sourceCpuSeconds: (await source.cpuSeconds()) - cpuBefore,
    sinkCpuSeconds: cpuSeconds,
    storedBytes: (await diskBytes(sink.folder)) - storedBefore,
  };
}

/** Bytes that the files below a folder take on disk, one that has several names counted once. */
async function diskBytes(folder: string): Promise<number> {
  const seen = new Set<number>();
  let total = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const { ino, blocks } = await stat(path.join(entry.parentPath, entry.name));
    if (seen.has(ino)) continue;
    seen.add(ino);
    // In units of 512 bytes, whatever the disk's own are.
    total += blocks * 512;
  }
  return total;
}
