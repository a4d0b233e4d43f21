import { streamPair } from '@libp2p/utils';
import { describe, expect, it, vi } from 'vitest';
import { digestText, sha256 } from '../../../../protocols/digest.ts';
import { StoreError } from '../../../../protocols/errors.ts';
import {
  type BlockSource,
  handleTransfer,
  RateLimiter,
  TransferConnection,
  type TransferHandlerInit,
  UploadSlots,
} from '../../../../protocols/transfer/index.ts';
import {
  decodeAnswer,
  encodeCancel,
  encodeFailed,
  encodeInquire,
  encodeWant,
  MAX_BLOCK_BYTES,
  MAX_PIECE_BYTES,
  MAX_WANTS,
} from '../../../../protocols/transfer/message.ts';
import { hex } from '../../../support/hex.ts';
import { createLibp2pPair } from '../../../support/libp2p-pair.ts';
import { noise } from '../../../support/noise.ts';
import { present } from '../../../support/present.ts';
import { refusal } from '../../../support/refusal.ts';
import { slotHolder } from '../../../support/slot-holder.ts';
import { TransferPeer } from '../../../support/transfer-peer.ts';

const HELLO = new TextEncoder().encode('hello');
const DIGEST = sha256(HELLO);

interface Served {
  readonly peer: TransferPeer;
  /** Resolves when `handleTransfer` does. */
  readonly served: Promise<void>;
  readonly failures: unknown[];
}

async function serve(source: BlockSource, init: TransferHandlerInit = {}): Promise<Served> {
  const [outbound, inbound] = await streamPair();
  const failures: unknown[] = [];
  const served = handleTransfer(inbound, source, {
    slots: new UploadSlots(4),
    ...init,
    onFailure: (error) => failures.push(error),
  });
  return { peer: new TransferPeer(outbound), served, failures };
}

/** A source whose reads settle when the test says so, in any order. */
function heldSource(): BlockSource & { readonly reads: Map<string, (block?: Uint8Array) => void> } {
  const reads = new Map<string, (block?: Uint8Array) => void>();
  return {
    reads,
    read: (digest) => {
      const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
      reads.set(digestText(digest), resolve);
      return promise;
    },
  };
}

const helloSource: BlockSource = { read: async () => HELLO };
const never: BlockSource = { read: () => new Promise(() => undefined) };

describe('handleTransfer', () => {
  it('answers wants in their order, each with its block in pieces', async () => {
    const block = noise(MAX_PIECE_BYTES + 1, 1);
    const { peer, served } = await serve({
      read: async (digest) => (digestText(digest) === digestText(DIGEST) ? HELLO : block),
    });
    peer.send(encodeWant(9, MAX_BLOCK_BYTES, sha256(block)), encodeWant(3, 5, DIGEST));
    const answers = (await peer.heard(3)).map((message) => decodeAnswer(message));
    expect(answers).toMatchObject([
      { type: 'piece', id: 9, totalBytes: MAX_PIECE_BYTES + 1, offset: 0 },
      { type: 'piece', id: 9, offset: MAX_PIECE_BYTES },
      { type: 'piece', id: 3, totalBytes: 5, offset: 0 },
    ]);
    await peer.stream.close();
    await served;
  });

  it('answers all that was asked before the peer ended its side, then ends', async () => {
    const source = heldSource();
    const { peer, served, failures } = await serve(source);
    peer.send(encodeWant(1, 5, DIGEST));
    await vi.waitFor(() => present([...source.reads.values()][0])(HELLO));
    await peer.stream.close();
    await served;
    expect(decodeAnswer(present((await peer.heard(1))[0]))).toMatchObject({ id: 1, totalBytes: 5 });
    expect(failures).toEqual([]);
  });

  it.each([
    [
      'that it does not have',
      async () => undefined,
      { status: 5, message: /^block 2cf24.* is not here$/ },
    ],
    [
      'larger than the want allows',
      async () => noise(6, 1),
      { status: 10, message: /has 6 bytes, expected at most 5/ },
    ],
    [
      'that its store cannot read',
      async () => Promise.reject(new StoreError('the disk fails')),
      { status: 13, message: /^the disk fails$/ },
    ],
    [
      'on which a bug of ours throws, whose text stays here',
      async () => Promise.reject(new TypeError('secret path')),
      { status: 14, message: /^internal error$/ },
    ],
  ])('answers a failure for a block %s, and goes on', async (_, read, { status, message }) => {
    let calls = 0;
    const { peer, served } = await serve({
      read: async () => {
        calls += 1;
        return calls === 1 ? read() : HELLO;
      },
    });
    peer.send(encodeWant(1, 5, DIGEST), encodeWant(2, 5, DIGEST));
    const answers = (await peer.heard(2)).map((bytes) => decodeAnswer(bytes));
    expect(answers).toMatchObject([
      { type: 'failed', id: 1, failure: { status, message: expect.stringMatching(message) } },
      { type: 'piece', id: 2 },
    ]);
    await peer.stream.close();
    await served;
  });

  it('reads no more than two blocks ahead, however many are wanted', async () => {
    const source = heldSource();
    const { peer, served } = await serve(source);
    for (let id = 1; id <= 10; id += 1) peer.send(encodeWant(id, 5, sha256(noise(5, id))));
    peer.send(encodeWant(11, 5, DIGEST));
    await vi.waitFor(() => expect(source.reads.size).toBe(2));
    present(source.reads.get(digestText(sha256(noise(5, 1)))))(noise(5, 1));
    await peer.heard(1);
    await vi.waitFor(() => expect(source.reads.size).toBe(3));
    peer.stream.abort(new Error('enough'));
    await served;
  });
});

describe('handleTransfer and a cancel', () => {
  it('sends nothing of a block that is cancelled while it waits, and never reads it', async () => {
    const source = heldSource();
    const digests = [1, 2, 3, 4].map((seed) => sha256(noise(5, seed)));
    const { peer, served } = await serve(source);
    peer.send(...digests.map((digest, index) => encodeWant(index + 1, 5, digest)));
    peer.send(encodeCancel(2), encodeCancel(3), encodeCancel(99));
    await vi.waitFor(() => expect(source.reads.size).toBe(2));
    for (const seed of [1, 2])
      present(source.reads.get(digestText(sha256(noise(5, seed)))))(noise(5, seed));
    await vi.waitFor(() => present(source.reads.get(digestText(present(digests[3]))))(noise(5, 4)));
    const ids = (await peer.heard(2)).map((message) => decodeAnswer(message).id);
    expect(ids).toEqual([1, 4]);
    expect(source.reads.has(digestText(present(digests[2])))).toBe(false);
    await peer.stream.close();
    await served;
  });
});

describe('handleTransfer resets the stream of a peer that', () => {
  it.each([
    ['sends garbage', new Uint8Array(64).fill(0xff), 'ERR_INVALID_MESSAGE', /longer than 41 bytes/],
    [
      'announces an endless message',
      hex('ff ff ff 7f'),
      'ERR_INVALID_MESSAGE',
      /longer than 41 bytes/,
    ],
    [
      'announces one by an endless length',
      hex('80 80 80 80 80'),
      'ERR_INVALID_MESSAGE',
      /longer than 41/,
    ],
    ['announces one byte too many', hex('2a'), 'ERR_INVALID_MESSAGE', /longer than 41 bytes/],
    [
      'sends an empty message',
      hex('00'),
      'ERR_INVALID_MESSAGE',
      /has 0 bytes, expected at least 5/,
    ],
    ['sends an unknown type', hex('05 07 01000000'), 'ERR_INVALID_MESSAGE', /type 7 and 5 bytes/],
  ] as const)('%s', async (_, bytes, code, message) => {
    const { peer, served, failures } = await serve(helloSource);
    peer.stream.send(bytes);
    await peer.reset();
    await served;
    expect(failures).toEqual([refusal(code, message)]);
  });

  it('sends half a message and ends', async () => {
    const { peer, served, failures } = await serve(helloSource);
    peer.stream.send(hex('29 01 07000000'));
    await peer.stream.close();
    await served;
    expect(failures).toEqual([refusal('ERR_CONNECTION', 'transfer stream broke off')]);
  });

  it('sends answers instead of requests', async () => {
    const { peer, served, failures } = await serve(helloSource);
    peer.send(encodeFailed(1, { status: 5, message: '', afterMs: null }));
    await peer.reset();
    await served;
    expect(failures).toEqual([refusal('ERR_INVALID_MESSAGE', /type 4 and 10 bytes/)]);
  });

  it.each([
    ['says nothing', undefined],
    ['sends half a message and then nothing', hex('29 01 07000000')],
  ])('%s', async (_, bytes) => {
    const { peer, served, failures } = await serve(helloSource, { idleTimeoutMs: 50 });
    if (bytes !== undefined) peer.stream.send(bytes);
    await peer.reset();
    await served;
    expect(failures).toEqual([refusal('ERR_CONNECTION', 'peer asked for nothing for 50 ms')]);
  });

  it('asks with an id that is open', async () => {
    const { peer, served, failures } = await serve(never);
    peer.send(encodeWant(1, 5, DIGEST), encodeWant(1, 5, DIGEST));
    peer.send(encodeCancel(1));
    await vi.waitFor(() => expect(failures).toHaveLength(1));
    await served;
    expect(failures).toEqual([
      refusal('ERR_INVALID_MESSAGE', 'transfer request 1 is open already'),
    ]);
  });

  it('has more requests open than it may, while just as many are answered', async () => {
    const wants = Array.from({ length: MAX_WANTS + 1 }, (_, id) => encodeWant(id, 5, DIGEST));
    const tooMany = await serve(never);
    tooMany.peer.send(...wants);
    await tooMany.peer.reset();
    expect(tooMany.failures).toEqual([
      refusal('ERR_LIMIT', 'peer has more than 256 requests for blocks open'),
    ]);
    const gate = Promise.withResolvers<Uint8Array>();
    const asMany = await serve({ read: () => gate.promise });
    asMany.peer.send(...wants.slice(1));
    gate.resolve(HELLO);
    await asMany.peer.heard(MAX_WANTS);
    await asMany.peer.stream.close();
    await asMany.served;
    expect(asMany.failures).toEqual([]);
  });

  it('takes nothing of what it asked for', async () => {
    const failures: unknown[] = [];
    const ended = Promise.withResolvers<void>();
    await using pair = await createLibp2pPair((inbound) => {
      const init = {
        slots: new UploadSlots(2),
        sendTimeoutMs: 100,
        onFailure: (error: unknown) => failures.push(error),
      };
      void handleTransfer(inbound, { read: async () => noise(MAX_BLOCK_BYTES, 1) }, init).then(
        ended.resolve,
      );
    });
    const peer = new TransferPeer(pair.outbound);
    pair.outbound.pause();
    for (let id = 0; id < 8; id += 1) peer.send(encodeWant(id, MAX_BLOCK_BYTES, DIGEST));
    await ended.promise;
    expect(failures).toEqual([refusal('ERR_CONNECTION', 'peer took no data for 100 ms')]);
  });
});

describe('handleTransfer gives its upload slots back', () => {
  it.each([
    ['ends', (peer: TransferPeer) => peer.stream.close()],
    ['resets the stream', async (peer: TransferPeer) => peer.stream.abort(new Error('gone'))],
    ['breaks the protocol', async (peer: TransferPeer) => peer.send(hex('09'))],
  ])('when the peer %s', async (_, end) => {
    const slots = new UploadSlots(2);
    const { peer, served } = await serve(helloSource, { slots });
    peer.send(...Array.from({ length: 20 }, (_, id) => encodeWant(id, 5, DIGEST)));
    await peer.heard(1);
    await end(peer);
    await served;
    const free = Promise.all(['p', 'q'].map((who) => slots.acquire(slotHolder(who))));
    await expect(free).resolves.toHaveLength(2);
  });

  it('to a stream that waits for another', async () => {
    const slots = new UploadSlots(1);
    const source = heldSource();
    const first = await serve(source, { slots });
    first.peer.send(encodeWant(1, 5, DIGEST));
    await vi.waitFor(() => expect(source.reads.size).toBe(1));
    const second = await serve(helloSource, { slots });
    second.peer.send(encodeWant(1, 5, DIGEST));
    expect(second.peer.messages).toEqual([]);
    present(source.reads.get(digestText(DIGEST)))(HELLO);
    await first.peer.heard(1);
    await second.peer.heard(1);
    await Promise.all([first.peer.stream.close(), second.peer.stream.close()]);
    await Promise.all([first.served, second.served]);
    expect([...first.failures, ...second.failures]).toEqual([]);
  });
});

describe('handleTransfer, given a peer that takes little by little, over real sockets', () => {
  const BLOCK = noise(MAX_BLOCK_BYTES, 7);
  const LARGE = sha256(BLOCK);
  /** One slot in all, and a rate that no trickle keeps. */
  const oneSlot = (): UploadSlots =>
    new UploadSlots(1, 1, { minBytesPerSecond: 64 * MAX_BLOCK_BYTES, windowMs: 100 });

  async function connect(slots: UploadSlots, peer: string) {
    const failures: unknown[] = [];
    const read = vi.fn<BlockSource['read']>(async (digest) =>
      digestText(digest) === digestText(LARGE) ? BLOCK : HELLO,
    );
    const pair = await createLibp2pPair((inbound) => {
      const init = { slots, peer, onFailure: (error: unknown) => failures.push(error) };
      void handleTransfer(inbound, { read }, init);
    });
    const { outbound } = pair;
    const connection = new TransferConnection(outbound);
    let drip: NodeJS.Timeout | undefined;
    return {
      connection,
      failures,
      /** Called when it has its slot. */
      read,
      /** Takes what has come once an interval: a quarter of a MiB. */
      trickle(intervalMs: number): void {
        outbound.pause();
        drip = setInterval(() => {
          outbound.resume();
          outbound.pause();
        }, intervalMs);
      },
      flow(): void {
        clearInterval(drip);
        outbound.resume();
      },
      async [Symbol.asyncDispose]() {
        clearInterval(drip);
        await pair[Symbol.asyncDispose]();
      },
    };
  }

  it('serves it to the end while nobody waits', async () => {
    await using slow = await connect(oneSlot(), 'slow');
    slow.trickle(50);
    expect(await slow.connection.fetch(LARGE, MAX_BLOCK_BYTES)).toEqual(BLOCK);
    expect(slow.failures).toEqual([]);
  });

  it('gives its slot to those who wait, tells it ERR_BUSY, and serves it again when it keeps up', async () => {
    const slots = oneSlot();
    await using slow = await connect(slots, 'slow');
    await using quick = await connect(slots, 'quick');
    // Eight such for a block: it would end long after the other has been served.
    slow.trickle(2_000);
    const dripping = Promise.allSettled(
      Array.from({ length: 8 }, () => slow.connection.fetch(LARGE, MAX_BLOCK_BYTES)),
    );
    await vi.waitFor(() => expect(slow.read).toHaveBeenCalled());
    expect(await quick.connection.fetch(DIGEST, 5)).toEqual(HELLO);
    slow.flow();
    const reasons = (await dripping).flatMap((each) =>
      each.status === 'rejected' ? [each.reason as unknown] : [],
    );
    expect(reasons[0]).toEqual(
      refusal(
        'ERR_BUSY',
        /^peer took \d+ bytes a second while others waited, expected at least \d+$/,
      ),
    );
    expect(reasons[0]).toMatchObject({ details: { retryAfterMs: 5_000 } });
    expect(await slow.connection.fetch(LARGE, MAX_BLOCK_BYTES)).toEqual(BLOCK);
    expect([...slow.failures, ...quick.failures]).toEqual([]);
  });
});

describe('handleTransfer and inquiries', () => {
  const VERSION = sha256(noise(9, 9));
  const part = { whole: false, count: 3, has: Uint8Array.of(5), coming: Uint8Array.of(2) };

  it('tells what the source has of a version, also while a block waits', async () => {
    const source = { ...never, holdings: async () => part };
    const { peer } = await serve(source);
    peer.send(encodeWant(1, 5, DIGEST), encodeInquire(2, VERSION));
    const [answer] = await peer.heard(1);
    expect(decodeAnswer(present(answer))).toEqual({ type: 'holdings', id: 2, holdings: part });
    peer.stream.abort(new Error('enough'));
  });

  it('tells it between two pieces of a block', async () => {
    const block = noise(MAX_PIECE_BYTES * 2, 1);
    const source = { read: async () => block, holdings: async () => part };
    const { peer, served } = await serve(source);
    peer.send(encodeWant(1, MAX_BLOCK_BYTES, sha256(block)), encodeInquire(2, VERSION));
    const types = (await peer.heard(3)).map((message) => decodeAnswer(message).type);
    expect(types.toSorted()).toEqual(['holdings', 'piece', 'piece']);
    expect(types.at(-1)).toBe('piece');
    await peer.stream.close();
    await served;
  });

  it.each([
    [
      'whole where a source has the manifest',
      HELLO,
      { type: 'holdings', holdings: { whole: true } },
    ],
    ['not found where it has not', undefined, { type: 'failed', failure: { status: 5 } }],
  ])('is %s and no other word', async (_, manifest, expected) => {
    const { peer, served } = await serve({ read: async () => manifest });
    peer.send(encodeInquire(1, DIGEST));
    expect(decodeAnswer(present((await peer.heard(1))[0]))).toMatchObject(expected);
    await peer.stream.close();
    await served;
  });
});

describe('handleTransfer with limited bandwidth', () => {
  it('gives a block once, and tells the next who asks that it was just given away', async () => {
    const limit = new RateLimiter(1024 ** 2);
    const first = await serve(helloSource, { limit, peer: 'a' });
    const second = await serve(helloSource, { limit, peer: 'b' });
    first.peer.send(encodeWant(1, 5, DIGEST));
    expect(decodeAnswer(present((await first.peer.heard(1))[0]))).toMatchObject({ type: 'piece' });
    second.peer.send(encodeWant(1, 5, DIGEST));
    expect(decodeAnswer(present((await second.peer.heard(1))[0]))).toMatchObject({
      type: 'failed',
      failure: { status: 8, afterMs: 2_000 },
    });
    first.peer.send(encodeWant(2, 5, DIGEST));
    expect(decodeAnswer(present((await first.peer.heard(2))[1]))).toMatchObject({ type: 'piece' });
    await Promise.all([first.peer.stream.close(), second.peer.stream.close()]);
    await Promise.all([first.served, second.served]);
  });
});
