import { yamux } from '@chainsafe/libp2p-yamux';
import type { Stream, StreamMuxer, StreamMuxerFactory } from '@libp2p/interface';
import { multiaddrConnectionPair } from '@libp2p/utils';
import { describe, expect, it, vi } from 'vitest';
import { lazyYamux } from '../../../../src/swarm/lazy-yamux.ts';

const WAIT = { interval: 2, timeout: 15_000 };
const KIB = 1024;
const MIB = 1024 * KIB;

/** yamux's frame types: https://github.com/hashicorp/yamux/blob/master/spec.md */
const WINDOW_UPDATE = 1;
const FRAME_HEADER_BYTES = 12;

/** The library's first window, at which it begins and which the specification fixes. */
const WINDOW_BYTES = 256 * KIB;

interface Muxed {
  readonly outbound: Stream;
  readonly inbound: Stream;
  /** Window updates that went to the outbound end, while frames came one a message. */
  readonly updates: () => number;
  readonly end: () => void;
}

async function muxed(dialer: StreamMuxerFactory, listener: StreamMuxerFactory): Promise<Muxed> {
  const [local, remote] = multiaddrConnectionPair();
  let updates = 0;
  local.addEventListener('message', ({ data }) => {
    const bytes = data.subarray();
    if (bytes.byteLength === FRAME_HEADER_BYTES && bytes[1] === WINDOW_UPDATE) updates += 1;
  });
  const muxers: readonly StreamMuxer[] = [
    dialer.createStreamMuxer(local),
    listener.createStreamMuxer(remote),
  ];
  const arrived = new Promise<Stream>((resolve) => {
    muxers[1]?.addEventListener('stream', ({ detail }) => resolve(detail));
  });
  const outbound = (await muxers[0]?.createStream()) as Stream;
  outbound.send(Uint8Array.of(1));
  const inbound = await arrived;
  return {
    outbound,
    inbound,
    updates: () => updates,
    end: () => {
      for (const muxer of muxers) muxer.abort(new Error('test is over'));
      local.abort(new Error('test is over'));
    },
  };
}

/** Bytes that have come from a stream so far, and whether each is what {@link pump} sends at its place. */
function collect(stream: Stream): { bytes: number; intact: boolean } {
  const collected = { bytes: 0, intact: true };
  stream.addEventListener('message', ({ data }) => {
    const bytes = data.subarray();
    const at = collected.bytes % 251;
    if (!Buffer.from(bytes).equals(PATTERN.subarray(at, at + bytes.byteLength)))
      collected.intact = false;
    collected.bytes += bytes.byteLength;
  });
  return collected;
}

/** Every byte is its place modulo 251. */
const PATTERN = Buffer.from(Array.from({ length: 17 * MIB }, (_, index) => index % 251));

/** Sends so many bytes in messages of a size, as fast as the stream takes them. */
function pump(stream: Stream, totalBytes: number, messageBytes: number): void {
  let sent = 0;
  const fill = (): void => {
    while (sent < totalBytes) {
      const bytes = Math.min(messageBytes, totalBytes - sent);
      const at = sent % 251;
      sent += bytes;
      if (!stream.send(PATTERN.subarray(at, at + bytes))) return;
    }
  };
  stream.addEventListener('drain', fill);
  fill();
}

const STOCK = yamux()();
const LAZY = lazyYamux()();

describe('lazyYamux', () => {
  it('finds in the installed yamux what it changes: small messages bring no window update each', async () => {
    const updatesOf = async (listener: StreamMuxerFactory): Promise<number> => {
      const { outbound, inbound, updates, end } = await muxed(STOCK, listener);
      const came = { messages: 0 };
      inbound.addEventListener('message', () => {
        came.messages += 1;
      });
      for (let sent = 0; sent < 50; sent += 1) {
        const before = came.messages;
        outbound.send(new Uint8Array(100));
        await vi.waitFor(() => expect(came.messages).toBeGreaterThan(before), WAIT);
      }
      const counted = updates();
      end();
      return counted;
    };
    // One opens the stream. The count of the stock module shows that updates are counted.
    expect(await updatesOf(LAZY)).toBeLessThanOrEqual(1);
    expect(await updatesOf(STOCK)).toBeGreaterThan(25);
  });

  it.each([
    ['itself', LAZY, LAZY],
    ['the stock module as listener', LAZY, STOCK],
    ['the stock module as dialer', STOCK, LAZY],
  ])('carries 100 MiB both ways at once, with %s', async (_, dialer, listener) => {
    const { outbound, inbound, end } = await muxed(dialer, listener);
    const back = collect(outbound);
    const there = collect(inbound);
    // Begins a place later: the first byte opened the stream.
    await vi.waitFor(() => expect(there.bytes).toBe(1), WAIT);
    Object.assign(there, { bytes: 0, intact: true });
    pump(outbound, 100 * MIB, 64 * KIB);
    pump(inbound, 100 * MIB, 64 * KIB);
    await vi.waitFor(() => expect([there.bytes, back.bytes]).toEqual([100 * MIB, 100 * MIB]), WAIT);
    expect([there.intact, back.intact]).toEqual([true, true]);
    end();
  });

  it.each([
    ['a byte more than half a window', WINDOW_BYTES / 2 + 1],
    ['a whole window', WINDOW_BYTES],
    ['a byte more than a window', WINDOW_BYTES + 1],
    ['ten windows and some', 10 * WINDOW_BYTES + 7],
  ])('does not stall on messages of %s, whose window never grows', async (_, messageBytes) => {
    const small = { streamOptions: { maxStreamWindowSize: WINDOW_BYTES } };
    for (const [dialer, listener] of [
      [lazyYamux(small)(), lazyYamux(small)()],
      [yamux(small)(), lazyYamux(small)()],
      [lazyYamux(small)(), yamux(small)()],
    ] as const) {
      const { outbound, inbound, end } = await muxed(dialer, listener);
      const there = collect(inbound);
      await vi.waitFor(() => expect(there.bytes).toBe(1), WAIT);
      Object.assign(there, { bytes: 0, intact: true });
      for (let message = 0; message < 3; message += 1) {
        pump(outbound, messageBytes, messageBytes);
        await vi.waitFor(() => expect(there.bytes).toBe(messageBytes * (message + 1)), WAIT);
      }
      end();
    }
  });

  it('holds a sender whose reader has paused at one window, and lets it go on after', async () => {
    const { outbound, inbound, end } = await muxed(LAZY, LAZY);
    const there = collect(inbound);
    await vi.waitFor(() => expect(there.bytes).toBe(1), WAIT);
    Object.assign(there, { bytes: 0, intact: true });
    inbound.pause();
    pump(outbound, 2 * MIB, 64 * KIB);
    await vi.waitFor(() => expect(inbound.readBufferLength).toBeGreaterThan(200 * KIB), WAIT);
    expect(inbound.readBufferLength).toBeLessThanOrEqual(2 * WINDOW_BYTES);
    expect(there.bytes).toBe(0);
    inbound.resume();
    await vi.waitFor(() => expect(there).toEqual({ bytes: 2 * MIB, intact: true }), WAIT);
    end();
  });
});
