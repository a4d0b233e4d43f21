import { digestOfCid, digestText } from '../../protocols/digest.ts';
import type { VersionCid } from '../../protocols/types.ts';
import type { VersionTarget } from '../../src/swarm/version-sink.ts';
import type { StoreIndex } from './store-index.ts';
import { readChunkLists } from './version-files.ts';

/**
 * Puts the files of a packed version in their place: a fetch from this very disk, with the room, the checks and the last steps
 * of any other. What is damaged is noted, and left to a fetch from other holders.
 */
export async function unpackVersion(
  index: StoreIndex,
  target: VersionTarget,
  cid: VersionCid,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  const entry = await index.version(cid);
  if (entry?.packed === undefined || entry.damaged) return;
  const manifest = await index.manifest(cid);
  const bytes = await index.block(digestText(digestOfCid(cid)));
  const lists = manifest && (await readChunkLists(index, manifest));
  if (bytes === undefined || lists === undefined) return index.markDamaged(cid);
  const sink = await target.begin(cid, bytes);
  const stop = (): void => void sink.close();
  signal?.addEventListener('abort', stop);
  try {
    for (const { chunks } of manifest?.files ?? []) await sink.chunkList(chunks);
    if ((await sink.missing(lists)).length === 0) await sink.finish();
    else await index.markDamaged(cid);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
    await sink.close();
  }
}
