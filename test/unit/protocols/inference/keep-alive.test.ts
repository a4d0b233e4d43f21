import { streamPair } from '@libp2p/utils';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FRAME } from '../../../../protocols/inference/frame-type.ts';
import { InferenceConnection } from '../../../../protocols/inference/index.ts';
import { encodeCredit } from '../../../../protocols/inference/message.ts';
import {
  closeInference,
  HeldHandler,
  openInference,
  requestOf,
  WAIT,
} from '../../../support/inference-peers.ts';
import { RawPeer } from '../../../support/raw-peer.ts';

const MIB = 1024 * 1024;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
});

afterEach(() => {
  vi.useRealTimers();
});

describe('InferenceConnection, keeping alive', () => {
  it('has one timer while an answer is owed, and none a tick after the last one came', async () => {
    const handler = new HeldHandler();
    const opened = await openInference(handler);
    expect(vi.getTimerCount()).toBe(0);
    const [first, second] = [
      opened.connection.infer(requestOf(1)),
      opened.connection.infer(requestOf(1)),
    ];
    expect(vi.getTimerCount()).toBe(1);
    (await handler.executing(0)).echo();
    await first;
    expect(vi.getTimerCount()).toBe(1);
    (await handler.executing(1)).fail(new Error('no'));
    await expect(second).rejects.toMatchObject({ code: 'ERR_INTERNAL' });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(vi.getTimerCount()).toBe(0);
    const cancelled = new AbortController();
    const third = opened.connection.infer(requestOf(1), { signal: cancelled.signal });
    expect(vi.getTimerCount()).toBe(1);
    cancelled.abort();
    await expect(third).rejects.toMatchObject({ name: 'AbortError' });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(vi.getTimerCount()).toBe(0);
    await closeInference(opened);
  });

  it.each([
    ['it is closed here', (connection: InferenceConnection) => void connection.close()],
    [
      'the node resets the stream',
      (_: InferenceConnection, node: RawPeer) => node.stream.abort(new Error('gone')),
    ],
    ['the node breaks the protocol', (_: InferenceConnection, node: RawPeer) => node.frame(99, 1)],
  ])('has no timer any more once %s', async (_, goAway) => {
    const [outbound, inbound] = await streamPair();
    const node = new RawPeer(inbound);
    const connection = new InferenceConnection(outbound);
    const answered = connection.infer(requestOf(1));
    await node.heard(FRAME.request);
    goAway(connection, node);
    await expect(answered).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_/) });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('asks every second, and takes 3 s without a word for the end', async () => {
    const [outbound, inbound] = await streamPair();
    const node = new RawPeer(inbound);
    const connection = new InferenceConnection(outbound);
    const askedAtMs = performance.now();
    const answered = connection.infer(requestOf(1));
    answered.catch(() => {});
    await node.heard(FRAME.request);
    vi.advanceTimersByTime(1_000);
    expect(await node.heard(FRAME.ping)).toMatchObject({ id: 0 });
    // Waiting for a condition moves the clock too.
    vi.advanceTimersByTime(2_999 - (performance.now() - askedAtMs));
    expect(connection.inFlight).toBe(1);
    vi.advanceTimersByTime(1);
    await expect(answered).rejects.toMatchObject({
      code: 'ERR_CONNECTION',
      message: 'node sent nothing for 3000 ms',
    });
    await node.reset();
  });

  it('takes a body that moves for a sign of life, and one that stands still for none', async () => {
    const [outbound, inbound] = await streamPair();
    const node = new RawPeer(inbound);
    const connection = new InferenceConnection(outbound);
    const answered = connection.infer(requestOf(8 * MIB));
    answered.catch(() => {});
    await node.heard(FRAME.request);
    // From here on the transport takes one chunk whenever it is told to, and the node says nothing.
    const held = vi.spyOn(outbound, 'writeBufferLength', 'get').mockReturnValue(MIB);
    node.frame(FRAME.credit, 1, encodeCredit(8 * MIB));
    const chunks = () => node.frames.filter(({ type }) => type === FRAME.data).length;
    for (let sent = 1; sent <= 5; sent += 1) {
      await vi.waitFor(() => expect(chunks()).toBe(sent), WAIT);
      vi.advanceTimersByTime(2_500);
      held.mockReturnValueOnce(0);
      outbound.dispatchEvent(new Event('drain'));
    }
    expect(connection.inFlight).toBe(1);
    vi.advanceTimersByTime(5_000);
    await expect(answered).rejects.toMatchObject({ code: 'ERR_CONNECTION' });
  });
});
