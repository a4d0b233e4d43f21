import { closeSync, openSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { BlockingPipe } from '../../../../../node/backend/child/blocking-pipe.ts';
import { encodePipeHeader, PIPE_FRAME } from '../../../../../node/backend/pipe-frame.ts';
import { createTestFolder } from '../../../../support/test-folder.ts';

const MAX_BYTES = 2 ** 32 - 16;

describe('BlockingPipe', () => {
  test('reads one frame and takes nothing behind it, which is for another reader', async () => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'frames');
    const pieces = [3, 5].flatMap((size) => [
      encodePipeHeader(PIPE_FRAME.run, size, size),
      new Uint8Array(size).fill(size),
    ]);
    writeFileSync(file, Buffer.concat(pieces));
    const fd = openSync(file, 'r');
    try {
      expect(new BlockingPipe(fd, MAX_BYTES).read()?.payload).toEqual(new Uint8Array(3).fill(3));
      const other = new BlockingPipe(fd, MAX_BYTES);
      expect(other.read()?.payload).toEqual(new Uint8Array(5).fill(5));
      expect(other.read()).toBeUndefined();
    } finally {
      closeSync(fd);
    }
  });
});
