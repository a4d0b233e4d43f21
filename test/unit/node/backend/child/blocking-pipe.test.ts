import { closeSync, openSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { BlockingPipe, MAX_KEPT_BYTES } from '../../../../../node/backend/child/blocking-pipe.ts';
import { encodePipeHeader, PIPE_FRAME } from '../../../../../node/backend/pipe-frame.ts';
import { createTestFolder } from '../../../../support/test-folder.ts';

/** Reads frames of so many bytes, each filled with its number. */
async function read(...sizes: readonly number[]): Promise<Uint8Array<ArrayBuffer>[]> {
  await using folder = await createTestFolder();
  const file = path.join(folder.path, 'frames');
  const pieces = sizes.flatMap((size, index) => [
    encodePipeHeader(PIPE_FRAME.run, index, size),
    new Uint8Array(size).fill(index + 1),
  ]);
  writeFileSync(file, Buffer.concat(pieces));
  const fd = openSync(file, 'r');
  try {
    const pipe = new BlockingPipe(fd, 2 ** 32 - 16);
    const payloads: Uint8Array<ArrayBuffer>[] = [];
    for (let frame = pipe.read(); frame !== undefined; frame = pipe.read()) {
      // Only now is it certain to hold what was sent.
      expect([frame.payload.at(0), frame.payload.at(-1)]).toEqual([frame.id + 1, frame.id + 1]);
      payloads.push(frame.payload);
    }
    return payloads;
  } finally {
    closeSync(fd);
  }
}

describe('BlockingPipe', () => {
  test('reads frames one after another into the same memory, each as long as it is', async () => {
    const [large, small, again] = await read(1_000, 10, 1_000);
    expect([large, small, again].map((payload) => payload?.byteLength)).toEqual([1_000, 10, 1_000]);
    expect(small?.buffer).toBe(large?.buffer);
    expect(again?.buffer).toBe(large?.buffer);
    expect(small?.byteOffset).toBe(0);
  });

  test('gives a larger frame memory that is large enough', async () => {
    const [small, large, last] = await read(10, 1_000, 500);
    expect(large?.buffer).not.toBe(small?.buffer);
    expect(last?.buffer).toBe(large?.buffer);
  });

  test('keeps the memory of a frame of the bound, and not that of one byte more', async () => {
    const [kept, beyond, after] = await read(MAX_KEPT_BYTES, MAX_KEPT_BYTES + 1, 10);
    expect(beyond?.buffer).not.toBe(kept?.buffer);
    expect(after?.buffer).toBe(kept?.buffer);
  });
});
