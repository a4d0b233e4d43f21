import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { FrameReader, MAX_KEPT_BYTES } from '../../../../../node/backend/child/frame-reader.ts';
import {
  encodePipeHeader,
  PIPE_FRAME,
  PIPE_HEADER_BYTES,
} from '../../../../../node/backend/pipe-frame.ts';
import { createTestFolder } from '../../../../support/test-folder.ts';

const MAX_BYTES = 2 ** 32 - 16;

function framesOf(sizes: readonly number[]): Buffer {
  const pieces = sizes.flatMap((size, index) => [
    encodePipeHeader(PIPE_FRAME.run, index, size),
    new Uint8Array(size).fill(index + 1),
  ]);
  return Buffer.concat(pieces);
}

/** Reads all frames of these bytes; each is looked at while it is certain to hold what was sent. */
async function readAll(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>[]> {
  await using folder = await createTestFolder();
  const file = path.join(folder.path, 'frames');
  writeFileSync(file, bytes);
  const fd = openSync(file, 'r');
  try {
    // The pool of this process has several threads.
    const reader = new FrameReader(fd, MAX_BYTES, 1);
    const payloads: Uint8Array<ArrayBuffer>[] = [];
    for (let frame = await reader.next(); frame !== undefined; frame = await reader.next()) {
      expect([frame.payload.at(0), frame.payload.at(-1)]).toEqual([frame.id + 1, frame.id + 1]);
      payloads.push(frame.payload);
    }
    return payloads;
  } finally {
    closeSync(fd);
  }
}

const MODULE = new URL('../../../../../node/backend/child/frame-reader.ts', import.meta.url);

/** A process whose thread has no more time for the pipe once it has the first frame. */
const BUSY_READER = `
import { writeSync } from 'node:fs';
import { FrameReader } from '${MODULE.href}';
const reader = new FrameReader(3, ${MAX_BYTES});
await reader.next();
writeSync(1, 'busy');
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
`;

describe('FrameReader', () => {
  test('reads frames one after another into the same memory, each as long as it is', async () => {
    const [large, small, again] = await readAll(framesOf([1_000, 10, 1_000]));
    expect([large, small, again].map((payload) => payload?.byteLength)).toEqual([1_000, 10, 1_000]);
    expect(small?.buffer).toBe(large?.buffer);
    expect(again?.buffer).toBe(large?.buffer);
    expect(small?.byteOffset).toBe(0);
  });

  test('gives a larger frame memory that is large enough', async () => {
    const [small, large, last] = await readAll(framesOf([10, 1_000_000, 500]));
    expect(large?.buffer).not.toBe(small?.buffer);
    expect(last?.buffer).toBe(large?.buffer);
  });

  test('keeps the memory of a frame of the bound, and not that of one byte more', async () => {
    const [kept, beyond, after] = await readAll(framesOf([MAX_KEPT_BYTES, MAX_KEPT_BYTES + 1, 10]));
    expect(beyond?.buffer).not.toBe(kept?.buffer);
    expect(after?.buffer).toBe(kept?.buffer);
  });

  test('ends without the frame that its parent did not send whole', async () => {
    const bytes = framesOf([10, 1_000]);
    expect(await readAll(bytes.subarray(0, -1))).toHaveLength(1);
  });

  test('takes what is sent while its thread is busy: more than a socket holds', async () => {
    const frames = framesOf([8, ...Array.from({ length: 16 }, () => 64 * 1024)]);
    const first = PIPE_HEADER_BYTES + 8;
    const flags = ['--conditions=swarm-source', '--no-warnings', '--input-type=module'];
    const child = spawn(process.execPath, [...flags, '--eval', BUSY_READER], {
      stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
      env: { UV_THREADPOOL_SIZE: '1' },
    });
    const closed = once(child, 'close');
    try {
      const pipe = child.stdio[3] as Socket;
      pipe.on('error', () => {
        // It is killed with what was sent to it.
      });
      pipe.write(frames.subarray(0, first));
      await once(child.stdio[1] as Readable, 'data');
      pipe.end(frames.subarray(first));
      // Emitted when the last of it has left this process.
      await once(pipe, 'finish', { signal: AbortSignal.timeout(10_000) });
      expect(pipe.bytesWritten).toBe(frames.byteLength);
    } finally {
      child.kill('SIGKILL');
      await closed;
    }
  });
});
