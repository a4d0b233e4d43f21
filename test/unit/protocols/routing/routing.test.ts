import { streamPair } from '@libp2p/utils';
import { describe, expect, it, vi } from 'vitest';
import { BusyError } from '../../../../protocols/errors.ts';
import {
  handleRouting,
  MAX_SNAPSHOT_ANNOUNCEMENTS,
  type RelayedAnnouncement,
  type RoutingHandler,
  type RoutingQuery,
  type RoutingSnapshot,
  requestSnapshot,
} from '../../../../protocols/routing/index.ts';
import { hex, toHex } from '../../../support/hex.ts';
import { WAIT } from '../../../support/inference-peers.ts';
import { RawPeer } from '../../../support/raw-peer.ts';
import {
  brokenQueries,
  brokenSnapshots,
  queryVectors,
  refusalBytes,
  snapshotVectors,
} from '../../../vectors/routing.ts';

const NOTHING: RoutingSnapshot = { release: null, announcements: [] };
const signal = (): AbortSignal => AbortSignal.timeout(5_000);

function answering(snapshot: RoutingHandler['snapshot']): RoutingHandler {
  return { snapshot, catalog: async () => ({ entries: [], omitted: 0 }) };
}

/** An asker that is real, and a peer that answers what a test says. */
async function ask(query: RoutingQuery = { kind: 'nodes' }, giveUp = signal()) {
  const [outbound, inbound] = await streamPair();
  const peer = new RawPeer(inbound, { framed: false });
  const asked = requestSnapshot(outbound, query, giveUp);
  asked.catch(() => {});
  return { peer, asked };
}

/** An answerer that is real, and a peer that asks what a test says. */
async function answer(
  answerer: (query: RoutingQuery) => Promise<RoutingSnapshot> = async () => NOTHING,
  giveUp = signal(),
) {
  const [outbound, inbound] = await streamPair();
  const peer = new RawPeer(outbound, { framed: false });
  const asked = vi.fn(answerer);
  return { peer, asked, handled: handleRouting(inbound, answering(asked), giveUp) };
}

function announcements(count: number, byteLength: number): RelayedAnnouncement[] {
  return Array.from({ length: count }, () => ({
    bytes: new Uint8Array(byteLength),
    ageMs: 30_000,
  }));
}

/** Both ends, real. */
async function exchange(
  answered: () => Promise<RoutingSnapshot>,
  query: RoutingQuery = { kind: 'nodes' },
) {
  const [outbound, inbound] = await streamPair();
  const handled = handleRouting(inbound, answering(answered), signal());
  try {
    return await requestSnapshot(outbound, query, signal());
  } finally {
    await handled;
  }
}

describe('requestSnapshot', () => {
  it.each(queryVectors.filter(({ readOnly }) => readOnly !== true))(
    'writes the query $name',
    async ({ bytes, message }) => {
      const { peer } = await ask(message);
      expect(toHex(await peer.bytesHeard(bytes.byteLength))).toBe(toHex(bytes));
    },
  );

  it.each(snapshotVectors)('reads the answer $name', async ({ bytes, message }) => {
    const { peer, asked } = await ask();
    peer.send(bytes);
    expect(await asked).toEqual(message);
    await vi.waitFor(() => expect(peer.stream.remoteWriteStatus).toBe('closed'), WAIT);
  });

  it('rejects with the peer’s refusal', async () => {
    const { peer, asked } = await ask();
    peer.send(refusalBytes);
    await expect(asked).rejects.toMatchObject({
      code: 'ERR_BUSY',
      message: 'full',
      details: { retryAfterMs: 250, remote: true },
    });
  });

  it.each(brokenSnapshots)('refuses and resets: answer $name', async ({ bytes }) => {
    const { peer, asked } = await ask();
    peer.send(bytes);
    await expect(asked).rejects.toMatchObject({ code: 'ERR_INVALID_MESSAGE' });
    await peer.reset();
  });

  it.each(snapshotVectors)('reports an end at every cut of the answer $name', async ({ bytes }) => {
    for (let length = 0; length < bytes.byteLength; length += 1) {
      const { peer, asked } = await ask();
      if (length > 0) peer.send(bytes.subarray(0, length));
      await peer.stream.close();
      await expect(asked, `${length} bytes`).rejects.toMatchObject({ code: 'ERR_CONNECTION' });
    }
  });

  it('gives up when its signal says so, and resets the stream', async () => {
    const giveUp = new AbortController();
    const { peer, asked } = await ask({ kind: 'nodes' }, giveUp.signal);
    await peer.bytesHeard(1);
    giveUp.abort(new Error('late'));
    await expect(asked).rejects.toThrow('late');
    await peer.reset();
  });
});

describe('handleRouting', () => {
  it.each(queryVectors)('reads the query $name', async ({ bytes, message }) => {
    const { peer, asked, handled } = await answer();
    peer.send(bytes);
    await handled;
    expect(asked.mock.calls).toEqual([[message, expect.any(AbortSignal)]]);
  });

  it.each(snapshotVectors)('writes the answer $name and ends', async ({ bytes, message }) => {
    const { peer, handled } = await answer(async () => message);
    peer.send(queryVectors[0]?.bytes ?? hex(''));
    expect(toHex(await peer.bytesHeard(bytes.byteLength))).toBe(toHex(bytes));
    await handled;
    await vi.waitFor(() => expect(peer.stream.remoteWriteStatus).toBe('closed'), WAIT);
  });

  it('writes a refusal', async () => {
    const { peer, handled } = await answer(async () => {
      throw new BusyError('full', 250);
    });
    peer.send(queryVectors[0]?.bytes ?? hex(''));
    expect(toHex(await peer.bytesHeard(refusalBytes.byteLength))).toBe(toHex(refusalBytes));
    await handled;
  });

  it.each(brokenQueries)('resets the stream and asks nobody: query $name', async ({ bytes }) => {
    const { peer, asked, handled } = await answer();
    peer.send(bytes);
    await handled;
    await peer.reset();
    expect(asked).not.toHaveBeenCalled();
  });

  it('resolves when the asker ends, resets, or says nothing until time is up', async () => {
    const ended = await answer();
    await ended.peer.stream.close();
    await ended.handled;
    const reset = await answer();
    reset.peer.stream.abort(new Error('gone'));
    await reset.handled;
    const silent = await answer(undefined, AbortSignal.timeout(10));
    await silent.handled;
    await silent.peer.reset();
    for (const { asked } of [ended, reset, silent]) expect(asked).not.toHaveBeenCalled();
  });

  it('refuses a selector, publisher or name that is longer than any can be, and takes the longest', async () => {
    const longest = {
      kind: 'model',
      publisher: 'p'.repeat(128),
      name: 'n'.repeat(64),
      selector: 's'.repeat(128),
    } as const;
    expect(await exchange(async () => NOTHING, longest)).toEqual(NOTHING);
    for (const field of ['publisher', 'name', 'selector'] as const) {
      const query = { ...longest, [field]: `${longest[field]}x` };
      await expect(exchange(async () => NOTHING, query)).rejects.toMatchObject({
        code: 'ERR_CONNECTION',
      });
    }
  });
});

describe('requestSnapshot and handleRouting', () => {
  it('carry 128 announcements of the largest size with the largest record', async () => {
    const largest = {
      release: new Uint8Array(16_384),
      announcements: announcements(MAX_SNAPSHOT_ANNOUNCEMENTS, 2_048),
    };
    expect(MAX_SNAPSHOT_ANNOUNCEMENTS).toBe(128);
    expect(await exchange(async () => largest)).toEqual(largest);
  });

  it('carry no 129th announcement', async () => {
    const tooMany = { release: null, announcements: announcements(129, 1) };
    await expect(exchange(async () => tooMany)).rejects.toMatchObject({
      code: 'ERR_INVALID_MESSAGE',
      message: 'routing answer has a wrong form',
    });
  });

  it('pass a refusal on, and what is no error of ours as a bare one', async () => {
    await expect(
      exchange(async () => Promise.reject(new BusyError('full', 9))),
    ).rejects.toMatchObject({
      code: 'ERR_BUSY',
      details: { retryAfterMs: 9 },
    });
    await expect(
      exchange(async () => Promise.reject(new TypeError('/secret'))),
    ).rejects.toMatchObject({
      code: 'ERR_INTERNAL',
      message: 'internal error',
    });
  });
});
