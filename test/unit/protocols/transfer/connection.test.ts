import { streamPair } from '@libp2p/utils';
import { describe, expect, it, vi } from 'vitest';
import { digestText, sha256 } from '../../../../protocols/digest.ts';
import { CorruptError } from '../../../../protocols/errors.ts';
import {
  type BlockSource,
  handleTransfer,
  TransferConnection,
  WHOLE,
} from '../../../../protocols/transfer/index.ts';
import {
  decodeRequest,
  encodeFailed,
  encodeHoldings,
  encodePiece,
  MAX_BLOCK_BYTES,
  MAX_PIECE_BYTES,
  MAX_WANTS,
} from '../../../../protocols/transfer/message.ts';
import { hex } from '../../../support/hex.ts';
import { noise } from '../../../support/noise.ts';
import { present } from '../../../support/present.ts';
import { refusal } from '../../../support/refusal.ts';
import { TransferPeer } from '../../../support/transfer-peer.ts';

const HELLO = new TextEncoder().encode('hello');

function sourceOf(...blocks: readonly Uint8Array[]): BlockSource {
  const byDigest = new Map(blocks.map((block) => [digestText(sha256(block)), block]));
  return { read: async (digest) => byDigest.get(digestText(digest)) };
}

/** A connection to a peer that serves blocks as it should. */
async function connect(source: BlockSource): Promise<TransferConnection> {
  const [outbound, inbound] = await streamPair();
  void handleTransfer(inbound, source);
  return new TransferConnection(outbound, { peer: 'p' });
}

/** A connection to a peer that does what the test says. */
async function connectRaw(
  init: { readonly silenceTimeoutMs?: number } = {},
): Promise<{ connection: TransferConnection; peer: TransferPeer }> {
  const [outbound, inbound] = await streamPair();
  return {
    connection: new TransferConnection(outbound, { peer: 'p', ...init }),
    peer: new TransferPeer(inbound),
  };
}

describe('TransferConnection fetches', () => {
  it.each([0, 1, MAX_PIECE_BYTES, MAX_PIECE_BYTES + 1, MAX_BLOCK_BYTES])(
    'a block of %i bytes',
    async (size) => {
      const block = noise(size, 1);
      const connection = await connect(sourceOf(block));
      expect(await connection.fetch(sha256(block), size)).toEqual(block);
      await connection.close();
    },
  );

  it('as many blocks at once as may be open, and refuses one more with ERR_LIMIT', async () => {
    const blocks = Array.from({ length: MAX_WANTS }, (_, index) => noise(500 + index, index));
    const connection = await connect(sourceOf(...blocks));
    const fetched = blocks.map((block) => connection.fetch(sha256(block), 1_000));
    expect(connection.inFlight).toBe(MAX_WANTS);
    await expect(connection.fetch(sha256(HELLO), 5)).rejects.toEqual(
      refusal('ERR_LIMIT', '256 requests for blocks are open to p'),
    );
    expect(await Promise.all(fetched)).toEqual(blocks);
    expect(connection.inFlight).toBe(0);
    await connection.close();
  });

  it('nothing that the peer does not have: ERR_NOT_FOUND, and the stream lives on', async () => {
    const connection = await connect(sourceOf(HELLO));
    await expect(connection.fetch(sha256(noise(9, 1)), 9)).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
      details: { peer: 'p', remote: true },
    });
    expect(await connection.fetch(sha256(HELLO), 5)).toEqual(HELLO);
    await connection.close();
  });

  it('nothing larger than was asked for: ERR_LIMIT from the peer', async () => {
    const connection = await connect(sourceOf(HELLO));
    await expect(connection.fetch(sha256(HELLO), 4)).rejects.toEqual(
      refusal('ERR_LIMIT', /has 5 bytes, expected at most 4/),
    );
    await connection.close();
  });

  it('no block with another digest: ERR_CORRUPT with the peer in its details, and the stream lives on', async () => {
    const lies = { read: async () => HELLO };
    const connection = await connect(lies);
    const digest = sha256(noise(5, 1));
    await expect(connection.fetch(digest, 5)).rejects.toMatchObject({
      code: 'ERR_CORRUPT',
      details: { peer: 'p', digest: digestText(digest) },
    });
    expect(connection.closed).toBe(false);
    expect(await connection.fetch(sha256(HELLO), 5)).toEqual(HELLO);
    await connection.close();
  });

  it('nothing that the peer found damaged: ERR_CORRUPT from the peer', async () => {
    const connection = await connect({
      read: async () => {
        throw new CorruptError('the disk lies');
      },
    });
    await expect(connection.fetch(sha256(HELLO), 5)).rejects.toEqual(
      refusal('ERR_CORRUPT', 'the disk lies'),
    );
    await connection.close();
  });
});

describe('TransferConnection resets the stream with ERR_INVALID_MESSAGE', () => {
  const piece = (total: number, offset: number, bytes: number): Uint8Array =>
    encodePiece(1, new Uint8Array(total), offset)
      .subarray()
      .subarray(0, 13 + bytes);

  it.each([
    ['a type that does not exist', [hex('09 01000000')], /type 9/],
    [
      'a piece of a block that was not asked for',
      [encodePiece(2, HELLO, 0)],
      /request 2, which is not open/,
    ],
    ['a failure of one', [encodeFailed(2, { status: 5, message: '', afterMs: null })], /request 2/],
    [
      'a block larger than was asked for',
      [piece(6, 0, 6)],
      /block of 6 bytes, expected at most the 5/,
    ],
    [
      'a piece after a gap',
      [piece(5, 0, 2), piece(5, 3, 2)],
      /piece of 2 bytes at 3 of 5, expected one at 2/,
    ],
    ['a piece twice', [piece(5, 0, 2), piece(5, 0, 2)], /at 0 of 5, expected one at 2 of 5/],
    [
      'a piece past the end',
      [hex('03 01000000 04000000 00000000 0101010101')],
      /piece of 5 bytes at 0 of 4/,
    ],
    [
      'a block that changes its size',
      [piece(5, 0, 2), piece(4, 2, 2)],
      /at 2 of 4, expected one at 2 of 5/,
    ],
    ['empty pieces without end', [piece(5, 0, 0)], /piece of 0 bytes/],
  ])('for %s', async (_, messages, message) => {
    const { connection, peer } = await connectRaw();
    const fetched = connection.fetch(sha256(HELLO), 5);
    await peer.heard(1);
    peer.send(...messages);
    await expect(fetched).rejects.toEqual(refusal('ERR_INVALID_MESSAGE', message));
    await peer.reset();
    expect(connection.closed).toBe(true);
  });

  it.each([
    ['garbage', new Uint8Array(64).fill(0xff)],
    ['a message that is announced longer than any', hex('8e 80 10')],
  ])('for %s', async (_, bytes) => {
    const { connection, peer } = await connectRaw();
    const fetched = connection.fetch(sha256(HELLO), 5);
    await peer.heard(1);
    peer.stream.send(bytes);
    await expect(fetched).rejects.toEqual(
      refusal('ERR_INVALID_MESSAGE', 'transfer message is longer than 262157 bytes'),
    );
    await peer.reset();
  });

  it('for an answer when nothing was asked', async () => {
    const { connection, peer } = await connectRaw();
    peer.send(encodePiece(1, HELLO, 0));
    await peer.reset();
    await expect(connection.fetch(sha256(HELLO), 5)).rejects.toEqual(
      refusal('ERR_INVALID_MESSAGE', /request 1, which is not open/),
    );
  });
});

describe('TransferConnection fails with ERR_CONNECTION', () => {
  it.each([
    ['ends the stream', [], 'p ended the transfer stream'],
    ['ends it in the middle of a message', [hex('0d 03 01000000')], 'transfer stream broke off'],
  ])('when the peer %s', async (_, bytes, message) => {
    const { connection, peer } = await connectRaw();
    const fetched = connection.fetch(sha256(HELLO), 5);
    await peer.heard(1);
    for (const part of bytes) peer.stream.send(part);
    void peer.stream.close();
    await expect(fetched).rejects.toEqual(refusal('ERR_CONNECTION', message));
  });

  it('when the peer resets the stream, for all that is open', async () => {
    const { connection, peer } = await connectRaw();
    const fetched = [1, 2].map((seed) => connection.fetch(sha256(noise(9, seed)), 9));
    await peer.heard(2);
    peer.stream.abort(new Error('gone'));
    const settled = await Promise.allSettled(fetched);
    for (const { status, reason } of settled as PromiseRejectedResult[]) {
      expect(status).toBe('rejected');
      expect(reason).toEqual(refusal('ERR_CONNECTION', 'transfer stream broke off'));
    }
    expect(connection.closed).toBe(true);
  });

  it('when the peer says nothing while it is asked, and says how long', async () => {
    const { connection, peer } = await connectRaw({ silenceTimeoutMs: 50 });
    await expect(connection.fetch(sha256(HELLO), 5)).rejects.toMatchObject({
      code: 'ERR_CONNECTION',
      message: 'p sent nothing for 50 ms',
      details: { peer: 'p' },
    });
    await peer.reset();
  });

  it('when half a block came and then nothing', async () => {
    const { connection, peer } = await connectRaw({ silenceTimeoutMs: 50 });
    const fetched = connection.fetch(sha256(HELLO), 5);
    await peer.heard(1);
    peer.send(hex('03 01000000 05000000 00000000 6865'));
    await expect(fetched).rejects.toEqual(refusal('ERR_CONNECTION', /sent nothing for 50 ms/));
  });

  it('when it was closed, for what is open and for what is asked later', async () => {
    const { connection, peer } = await connectRaw();
    const fetched = connection.fetch(sha256(HELLO), 5);
    const refused = refusal('ERR_CONNECTION', 'transfer stream to p was closed');
    await Promise.all([expect(fetched).rejects.toEqual(refused), connection.close()]);
    await expect(connection.fetch(sha256(HELLO), 5)).rejects.toEqual(refused);
    await peer.reset();
  });
});

describe('TransferConnection close', () => {
  it('ends an idle stream without a reset, so that the peer sees an end', async () => {
    const [outbound, inbound] = await streamPair();
    const onFailure = vi.fn<(error: unknown) => void>();
    const served = handleTransfer(inbound, sourceOf(HELLO), { onFailure });
    const connection = new TransferConnection(outbound);
    expect(await connection.fetch(sha256(HELLO), 5)).toEqual(HELLO);
    await connection.close();
    await connection.close();
    await served;
    expect(onFailure).not.toHaveBeenCalled();
    expect([outbound.status, inbound.status]).toEqual(['closed', 'closed']);
  });

  it('resets the stream of a peer that keeps its side open', async () => {
    const { connection, peer } = await connectRaw();
    await connection.close();
    await peer.reset();
  });
});

describe('TransferConnection gives up a request by its signal', () => {
  it('without asking when it is aborted already', async () => {
    const { connection, peer } = await connectRaw();
    const signal = AbortSignal.abort(new Error('given up'));
    await expect(connection.fetch(sha256(HELLO), 5, { signal })).rejects.toThrow('given up');
    expect(connection.inFlight).toBe(0);
    expect(peer.messages).toEqual([]);
    await Promise.all([connection.close(), peer.stream.close()]);
  });

  it('with its reason, tells the peer, and takes what was on its way', async () => {
    const { connection, peer } = await connectRaw();
    const controller = new AbortController();
    const block = noise(1_000, 1);
    const { signal } = controller;
    const fetched = connection.fetch(sha256(block), 1_000, { signal });
    await peer.heard(1);
    controller.abort(new Error('given up'));
    await expect(fetched).rejects.toThrow('given up');
    const [, cancel] = await peer.heard(2);
    expect(decodeRequest(present(cancel))).toEqual({ type: 'cancel', id: 1 });
    peer.send(encodePiece(1, block, 0));
    const next = connection.fetch(sha256(HELLO), 5);
    peer.send(encodePiece(2, HELLO, 0));
    expect(await next).toEqual(HELLO);
    await Promise.all([connection.close(), peer.stream.close()]);
  });

  it('but resets the stream when more comes than was asked for', async () => {
    const { connection, peer } = await connectRaw();
    const controller = new AbortController();
    const { signal } = controller;
    const fetched = connection.fetch(sha256(HELLO), 5, { signal });
    await peer.heard(1);
    controller.abort(new Error('given up'));
    await expect(fetched).rejects.toThrow('given up');
    peer.send(encodePiece(1, HELLO, 0), encodePiece(1, HELLO, 0));
    await peer.reset();
    expect(connection.closed).toBe(true);
  });
});

describe('TransferConnection asks what a peer has', () => {
  const VERSION = sha256(HELLO);

  it('and gets it beside the blocks it waits for', async () => {
    const { connection, peer } = await connectRaw();
    const block = connection.fetch(VERSION, 5);
    const holdings = connection.holdings(VERSION);
    await peer.heard(2);
    peer.send(encodeHoldings(2, WHOLE), encodePiece(1, HELLO, 0));
    expect(await holdings).toEqual(WHOLE);
    expect(await block).toEqual(HELLO);
    await connection.close();
  });

  it('and hears that it knows nothing of the version: ERR_NOT_FOUND', async () => {
    const connection = await connect(sourceOf());
    await expect(connection.holdings(VERSION)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
    await connection.close();
  });

  it('and takes the answer also after it gave up asking', async () => {
    const { connection, peer } = await connectRaw();
    const controller = new AbortController();
    const asked = connection.holdings(VERSION, { signal: controller.signal });
    await peer.heard(1);
    controller.abort(new Error('given up'));
    await expect(asked).rejects.toThrow('given up');
    peer.send(encodeHoldings(1, WHOLE));
    const block = connection.fetch(VERSION, 5);
    await peer.heard(2);
    peer.send(encodePiece(2, HELLO, 0));
    expect(await block).toEqual(HELLO);
    await connection.close();
  });

  it.each([
    ['that nobody asked for', encodeHoldings(7, WHOLE)],
    ['in place of a block', encodeHoldings(1, WHOLE)],
  ])('and drops a peer that tells it %s', async (_, message) => {
    const { connection, peer } = await connectRaw();
    const block = connection.fetch(VERSION, 5);
    await peer.heard(1);
    peer.send(message);
    await expect(block).rejects.toMatchObject({ code: 'ERR_INVALID_MESSAGE' });
    await peer.reset();
  });

  it('and drops a peer that does not answer', async () => {
    const { connection, peer } = await connectRaw({ silenceTimeoutMs: 50 });
    await expect(connection.holdings(VERSION)).rejects.toMatchObject({ code: 'ERR_CONNECTION' });
    await peer.reset();
  });
});
