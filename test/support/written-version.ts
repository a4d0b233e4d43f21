import { noise } from './noise.ts';
import { createVersionFixture, type VersionFixture } from './version-fixture.ts';

/** The version that a writer under test writes in a round; half of its chunks are those of every other round. */
export function createWrittenVersion(round: number): VersionFixture {
  return createVersionFixture({
    files: { 'model.onnx': noise(20_000, round + 1), 'weights.bin': noise(20_000, 0) },
    chunkBytes: 4_096,
  });
}

const REVISION_CHUNK_BYTES = 64 * 1024;

/** The version that a packer under test stores in a round: the same weights but for one chunk; there are four. */
export function createRevision(round: number): VersionFixture {
  const weights = noise(24 * REVISION_CHUNK_BYTES, 1);
  const changed = round % 4;
  weights.set(noise(REVISION_CHUNK_BYTES, 2 + changed), changed * REVISION_CHUNK_BYTES);
  return createVersionFixture({
    files: { 'model.onnx': weights },
    chunkBytes: REVISION_CHUNK_BYTES,
  });
}
