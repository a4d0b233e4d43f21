import { digestOfCid } from '../../protocols/digest.ts';
import type { ChunkPlace, VersionSink, VersionTarget } from '../../src/swarm/version-sink.ts';
import { blockOf, type VersionFixture } from './version-fixture.ts';

/** Puts a version into a store by hand; returns the places that the store asked for. */
export async function writeVersion(
  target: VersionTarget,
  version: VersionFixture,
): Promise<readonly ChunkPlace[]> {
  const sink = await beginVersion(target, version);
  try {
    const missing = await sink.missing(version.lists);
    for (const place of missing) await sink.write(place, blockOf(version, place.digest));
    await sink.finish();
    return missing;
  } finally {
    await sink.close();
  }
}

/** Begins a version and gives it its chunk lists. */
export async function beginVersion(
  target: VersionTarget,
  version: VersionFixture,
): Promise<VersionSink> {
  const sink = await target.begin(version.cid, version.manifestBytes);
  for (const { chunks } of version.manifest.files) {
    await sink.putChunkList(chunks, blockOf(version, digestOfCid(chunks)));
  }
  return sink;
}
