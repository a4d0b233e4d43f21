import type { Stream } from '@libp2p/interface';
import { AbstractStream, streamPair } from '@libp2p/utils';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { encodeFrameHeader } from '../../../../protocols/codec/frame.ts';
import {
  FrameStream,
  type FrameStreamInit,
  type OutgoingBody,
} from '../../../../protocols/codec/frame-stream.ts';
import { InvalidMessageError } from '../../../../protocols/errors.ts';
import { hex, toHex } from '../../../support/hex.ts';
import { WAIT } from '../../../support/inference-peers.ts';
import { RawPeer } from '../../../support/raw-peer.ts';

const CHUNK_BYTES = 64 * 1024;

interface Listening {
  readonly frames: FrameStream;
  readonly heard: string[];
  /** What `onEnd` was called with, each time. */
  readonly ends: (Error | undefined)[];
}

function listen(stream: Stream, init: Partial<FrameStreamInit> = {}): Listening {
  const heard: string[] = [];
  const ends: (Error | undefined)[] = [];
  const frames = new FrameStream(stream, {
    onFrame: ({ type, id, payload }) => heard.push(`${type}/${id}:${toHex(payload)}`),
    onEnd: (error) => ends.push(error),
    ...init,
  });
  return { frames, heard, ends };
}

/** A body of zeros with so much credit, which counts what is taken of it. */
function bodyOf(
  id: number,
  byteLength: number,
  credit = byteLength,
): OutgoingBody & { credit: number } {
  let left = byteLength;
  return {
    id,
    type: 2,
    credit,
    get done() {
      return left === 0;
    },
    take(maxBytes: number) {
      const bytes = Math.min(maxBytes, left, this.credit);
      left -= bytes;
      this.credit -= bytes;
      return bytes === 0 ? [] : [new Uint8Array(bytes)];
    },
  };
}

/** A whole frame, with a payload of so many bytes. */
function frameOf(id: number, payloadBytes: number): Uint8Array {
  return Buffer.concat([encodeFrameHeader(2, id, payloadBytes), Buffer.alloc(payloadBytes)]);
}

/** An end that a test hands bytes to without a timer between. */
async function openInbound(): Promise<AbstractStream> {
  const [, inbound] = await streamPair();
  if (!(inbound instanceof AbstractStream)) throw new TypeError('no stream of this library');
  return inbound;
}

afterEach(() => {
  vi.useRealTimers();
});

describe('FrameStream, sending', () => {
  it('sends all small frames of one turn in one write', async () => {
    const [outbound, inbound] = await streamPair();
    const { frames } = listen(outbound);
    const peer = new RawPeer(inbound);
    const send = vi.spyOn(outbound, 'send');
    frames.send(1, 1, hex('01'), hex('02'));
    frames.send(4, 2);
    frames.send(7, 0);
    await peer.heard(7);
    expect(toHex(peer.received)).toBe(
      toHex(hex('07000000 01 01000000 0102', '05000000 04 02000000', '05000000 07 00000000')),
    );
    expect(send).toHaveBeenCalledTimes(1);
  });

  it('gives bodies their turn, one chunk each', async () => {
    const [outbound, inbound] = await streamPair();
    const { frames } = listen(outbound);
    const peer = new RawPeer(inbound);
    frames.sendBody(bodyOf(1, 3 * CHUNK_BYTES));
    frames.sendBody(bodyOf(2, 2 * CHUNK_BYTES));
    frames.sendBody(bodyOf(3, 10));
    await vi.waitFor(() => expect(peer.frames).toHaveLength(6), WAIT);
    expect(peer.frames.map(({ id }) => id)).toEqual([1, 2, 3, 1, 2, 1]);
    expect(peer.frames.map(({ payload }) => payload.byteLength)).toEqual([
      CHUNK_BYTES,
      CHUNK_BYTES,
      10,
      CHUNK_BYTES,
      CHUNK_BYTES,
      CHUNK_BYTES,
    ]);
  });

  it('passes over a body without credit until it has some', async () => {
    const [outbound, inbound] = await streamPair();
    const { frames } = listen(outbound);
    const peer = new RawPeer(inbound);
    const waiting = bodyOf(1, 100, 0);
    frames.sendBody(waiting);
    frames.sendBody(bodyOf(2, 50));
    await peer.heard(2, 2);
    expect(peer.frames).toHaveLength(1);
    waiting.credit = 60;
    frames.pump();
    expect((await peer.heard(2, 1)).payload.byteLength).toBe(60);
    waiting.credit = 40;
    frames.pump();
    await vi.waitFor(() => expect(peer.frames).toHaveLength(3), WAIT);
    expect(peer.frames[2]?.payload.byteLength).toBe(40);
  });

  it('sends nothing more of a body that was dropped', async () => {
    const [outbound, inbound] = await streamPair();
    const { frames } = listen(outbound);
    const peer = new RawPeer(inbound);
    const body = bodyOf(1, 100, 10);
    frames.sendBody(body);
    await peer.heard(2, 1);
    frames.dropBody(1);
    body.credit = 90;
    frames.send(7, 0);
    frames.pump();
    await peer.heard(7);
    expect(peer.frames.map(({ type }) => type)).toEqual([2, 7]);
  });

  it('ends its own side after what was queued', async () => {
    const [outbound, inbound] = await streamPair();
    const { frames, ends } = listen(outbound);
    const peer = new RawPeer(inbound);
    frames.send(1, 1);
    const closing = frames.close(AbortSignal.timeout(5_000));
    await vi.waitFor(() => expect(inbound.remoteWriteStatus).toBe('closed'), WAIT);
    expect(peer.frames).toHaveLength(1);
    await inbound.close();
    await closing;
    await vi.waitFor(() => expect(ends).toEqual([undefined]), WAIT);
  });

  it('resets a stream that the other side does not end in time', async () => {
    const [outbound, inbound] = await streamPair();
    const { frames, ends } = listen(outbound);
    const peer = new RawPeer(inbound);
    await frames.close(AbortSignal.timeout(20));
    await peer.reset();
    expect(ends).toMatchObject([
      { code: 'ERR_CONNECTION', message: 'peer did not end the stream' },
    ]);
  });
});

describe('FrameStream, receiving', () => {
  it('hands out frames and then a clean end, once', async () => {
    const [outbound, inbound] = await streamPair();
    const { heard, ends } = listen(inbound);
    new RawPeer(outbound).frame(1, 5, hex('aa'));
    await outbound.close();
    await vi.waitFor(() => expect(ends).toEqual([undefined]), WAIT);
    expect(heard).toEqual(['1/5:aa']);
    await vi.waitFor(() => expect(outbound.status).toBe('closed'), WAIT);
    expect(ends).toHaveLength(1);
  });

  it('notices an end that came before anybody listened', async () => {
    const [outbound, inbound] = await streamPair();
    new RawPeer(outbound).frame(1, 5, hex('aa'));
    await outbound.close();
    await vi.waitFor(() => expect(inbound.remoteWriteStatus).toBe('closed'), WAIT);
    const { heard, ends } = listen(inbound);
    await vi.waitFor(() => expect(ends).toEqual([undefined]), WAIT);
    expect(heard).toEqual(['1/5:aa']);
  });

  it('notices a reset that came before anybody listened', async () => {
    const [outbound, inbound] = await streamPair();
    outbound.abort(new Error('gone'));
    await vi.waitFor(() => expect(inbound.status).toBe('reset'), WAIT);
    const { ends } = listen(inbound);
    await vi.waitFor(() => expect(ends).toHaveLength(1), WAIT);
  });

  it('reports an end inside a frame', async () => {
    const [outbound, inbound] = await streamPair();
    const { ends } = listen(inbound);
    outbound.send(frameOf(1, 100).subarray(0, 50));
    await outbound.close();
    await vi.waitFor(() => expect(ends).toHaveLength(1), WAIT);
    expect(ends).toMatchObject([
      { code: 'ERR_CONNECTION', message: expect.stringMatching(/inside a frame/) },
    ]);
  });

  it('reports a reset', async () => {
    const [outbound, inbound] = await streamPair();
    const { ends } = listen(inbound);
    outbound.abort(new Error('gone'));
    await vi.waitFor(() => expect(ends).toMatchObject([{ code: 'ERR_CONNECTION' }]), WAIT);
  });

  it('resets the stream with what a listener throws', async () => {
    const [outbound, inbound] = await streamPair();
    const peer = new RawPeer(outbound);
    const onFrame = vi.fn(() => {
      throw new InvalidMessageError('not this');
    });
    const { ends } = listen(inbound, { onFrame });
    peer.send(frameOf(1, 1), frameOf(2, 1));
    await peer.reset();
    expect(ends).toMatchObject([{ code: 'ERR_INVALID_MESSAGE', message: 'not this' }]);
    expect(onFrame).toHaveBeenCalledTimes(1);
  });

  it('resets the stream when a frame that began does not end', async () => {
    const [outbound, inbound] = await streamPair();
    const peer = new RawPeer(outbound);
    const { ends } = listen(inbound, { frameTimeoutMs: 20 });
    peer.send(frameOf(1, 100).subarray(0, 50));
    await peer.reset();
    expect(ends).toMatchObject([{ message: 'peer did not end a frame within 20 ms' }]);
  });

  it('gives each frame the whole time, also when no piece ends where a frame does', async () => {
    const inbound = await openInbound();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { heard, ends } = listen(inbound, { frameTimeoutMs: 1_000 });
    const frame = frameOf(1, 91);
    inbound.onData(frame.subarray(0, 50));
    for (let round = 0; round < 5; round += 1) {
      vi.advanceTimersByTime(999);
      inbound.onData(Buffer.concat([frame.subarray(50), frame.subarray(0, 50)]));
    }
    expect(heard).toHaveLength(5);
    vi.advanceTimersByTime(600);
    inbound.onData(frame.subarray(50, 60));
    vi.advanceTimersByTime(399);
    expect(ends).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(ends).toMatchObject([{ code: 'ERR_INVALID_MESSAGE' }]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('leaves no timer behind when the stream ends inside a frame', async () => {
    const inbound = await openInbound();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { ends } = listen(inbound);
    inbound.onData(frameOf(1, 100).subarray(0, 50));
    expect(vi.getTimerCount()).toBe(1);
    inbound.onRemoteReset();
    expect(ends).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });
});
