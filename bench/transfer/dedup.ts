import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { BenchHost } from '../command.ts';
import { type ModelInit, writeModel } from './model.ts';
import { OURS } from './movers.ts';
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

/** A fetch of a version that resembles one on the disk, and what becomes of the disk. */
export interface DedupSample extends Sample {
  /** Bytes that the disk holds more than before while both versions are in use. */
  readonly storedBytes: number;
  /** Of these, what is left once only the new version is in use. */
  readonly packedBytes: number;
  readonly packSeconds: number;
  /** Until the first version is whole again and the new one packed: what a rollback does. */
  readonly rollbackSeconds: number;
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
      let first: string | undefined;
      for (const revision of [{ title: 'first version', change: {} }, ...revisions]) {
        host.signal.throwIfAborted();
        host.progress(`dedup: ${revision.title}`);
        await writeModel(file, { tensors, ...revision.change });
        const reference = await source.hold(file);
        const fetched = await measureFetch(source, sink, reference);
        first ??= reference;
        if (reference === first) continue;
        samples.set(revision, await measurePacking(sink, fetched, { first, reference }));
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

interface FetchSample extends Sample {
  readonly diskBytesBefore: number;
}

async function measureFetch(
  source: PeerProcess,
  sink: PeerProcess,
  reference: string,
): Promise<FetchSample> {
  const diskBytesBefore = await diskBytes(sink.folder);
  const cpuBefore = await source.cpuSeconds();
  const { seconds, movedBytes, cpuSeconds } = await sink.fetch(reference, [source]);
  return {
    seconds,
    movedBytes,
    sourceCpuSeconds: (await source.cpuSeconds()) - cpuBefore,
    sinkCpuSeconds: cpuSeconds,
    diskBytesBefore,
  };
}

/** Lets the sink use the new version, then the first one again, which is whole when this is over. */
async function measurePacking(
  sink: PeerProcess,
  { diskBytesBefore, ...sample }: FetchSample,
  { first, reference }: { readonly first: string; readonly reference: string },
): Promise<DedupSample> {
  const storedBytes = (await diskBytes(sink.folder)) - diskBytesBefore;
  const packSeconds = await sink.use(reference);
  const packedBytes = (await diskBytes(sink.folder)) - diskBytesBefore;
  const rollbackSeconds = await sink.use(first);
  return { ...sample, storedBytes, packedBytes, packSeconds, rollbackSeconds };
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
