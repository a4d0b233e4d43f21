import { noise } from './noise.ts';
import { createVersionFixture, type VersionFixture } from './version-fixture.ts';

/** The version that a writer under test writes in a round; half of its chunks are those of every other round. */
export function createWrittenVersion(round: number): VersionFixture {
  return createVersionFixture({
    files: { 'model.onnx': noise(20_000, round + 1), 'weights.bin': noise(20_000, 0) },
    chunkBytes: 4_096,
  });
}
