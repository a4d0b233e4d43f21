import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
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

/** The sizes of small frames, which are read in place, between large ones, which are not. */
const MIXED = [8, 160_000, 8, 8, 500_000, 500_000, 8, 100_000, 8, 1_000_000, 8];

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

/** A process that tells of each frame what it is and whether all of it is what was sent. */
const TELLING_READER = `
import { writeSync } from 'node:fs';
import { FrameReader } from '${MODULE.href}';
const reader = new FrameReader(3, ${MAX_BYTES});
for (let frame = await reader.next(); frame !== undefined; frame = await reader.next()) {
  const right = frame.payload.every((value) => value === frame.id + 1);
  writeSync(1, JSON.stringify([frame.id, frame.payload.byteLength, right]) + '\\n');
}
`;

/** A process whose thread has no more time for the pipe once it has the first frame. */
const BUSY_READER = `
import { writeSync } from 'node:fs';
import { FrameReader } from '${MODULE.href}';
const reader = new FrameReader(3, ${MAX_BYTES});
await reader.next();
writeSync(1, 'busy');
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
`;

/** Starts a process that reads what is sent to it; it is killed at the end, with what is left to read. */
function startReader(program: string) {
  const flags = ['--conditions=swarm-source', '--no-warnings', '--input-type=module'];
  const child = spawn(process.execPath, [...flags, '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    env: { UV_THREADPOOL_SIZE: '1' },
  });
  const closed = once(child, 'close');
  const pipe = child.stdio[3] as Socket;
  pipe.on('error', () => {
    // It is killed with what was sent to it.
  });
  return {
    pipe,
    output: child.stdio[1] as Readable,
    /** Resolves when the kernel has all of it. */
    send: async (bytes: Uint8Array): Promise<void> => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      pipe.write(bytes, (error) => (error == null ? resolve() : reject(error)));
      const late = setTimeout(() => reject(new Error('it does not read')), 10_000);
      await promise.finally(() => clearTimeout(late));
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await closed;
    },
  };
}

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

  test('takes small frames and large ones in their order, in whatever pieces they come', async () => {
    await using reader = startReader(TELLING_READER);
    const frames = framesOf(MIXED);
    const told = text(reader.output);
    for (
      let offset = 0, size = 1;
      offset < frames.byteLength;
      offset += size, size = 2 * size + 1
    ) {
      await reader.send(frames.subarray(offset, offset + size));
    }
    reader.pipe.end();
    expect((await told).trim()).toBe(
      MIXED.map((size, id) => JSON.stringify([id, size, true])).join('\n'),
    );
  });

  test('takes large frames that are sent while its thread is busy: more than a socket holds', async () => {
    await using reader = startReader(BUSY_READER);
    const frames = framesOf(Array.from({ length: 8 }, () => 160 * 1024));
    const first = PIPE_HEADER_BYTES + 160 * 1024;
    await reader.send(frames.subarray(0, first));
    await once(reader.output, 'data', { signal: AbortSignal.timeout(10_000) });
    // Resolves when the last of it has left this process.
    await reader.send(frames.subarray(first));
  });
});
