import type { Stream } from '@libp2p/interface';
import { streamPair } from '@libp2p/utils';
import { describe, expect, it, vi } from 'vitest';
import { handleKeepAlive, KeepAlive } from '../../../../protocols/liveness/index.ts';
import { WAIT } from '../../../support/inference-peers.ts';

/** Bytes that come on a stream. */
function counted(stream: Stream): () => number {
  let bytes = 0;
  stream.addEventListener('message', ({ data }) => (bytes += data.byteLength));
  return () => bytes;
}

describe('KeepAlive', () => {
  it('asks for as long as it is open, and loses nobody who answers', async () => {
    const [outbound, inbound] = await streamPair();
    const pings = counted(inbound);
    handleKeepAlive(inbound);
    const onLost = vi.fn();
    const watch = new KeepAlive(outbound, { timeoutMs: 300, onLost });
    await vi.waitFor(() => expect(pings()).toBeGreaterThanOrEqual(5), WAIT);
    expect(onLost).not.toHaveBeenCalled();
    watch.close();
    expect(outbound.status).toBe('aborted');
    expect(onLost).not.toHaveBeenCalled();
  });

  it('is silent once nothing came for its timeout, and says so once', async () => {
    const [outbound] = await streamPair();
    const onLost = vi.fn();
    const watch = new KeepAlive(outbound, { timeoutMs: 150, onLost });
    await vi.waitFor(() => expect(onLost).toHaveBeenCalled(), WAIT);
    watch.close();
    expect(onLost.mock.calls).toEqual([['silent']]);
  });

  it('is closed at once when the other side ends the stream', async () => {
    const [outbound, inbound] = await streamPair();
    const onLost = vi.fn();
    const watch = new KeepAlive(outbound, { timeoutMs: 60_000, onLost });
    inbound.abort(new Error('the process ends'));
    await vi.waitFor(() => expect(onLost.mock.calls).toEqual([['closed']]), WAIT);
    watch.close();
    expect(onLost).toHaveBeenCalledTimes(1);
  });
});

describe('handleKeepAlive', () => {
  it('gives back as many pings as a watcher may save up, and resets the stream at one more', async () => {
    const [outbound, inbound] = await streamPair();
    const pongs = counted(outbound);
    handleKeepAlive(inbound);
    outbound.send(new Uint8Array(16));
    await vi.waitFor(() => expect(pongs()).toBe(16), WAIT);
    outbound.send(new Uint8Array(16));
    await vi.waitFor(() => expect(inbound.status).toBe('aborted'), WAIT);
    expect(pongs()).toBe(16);
  });
});
