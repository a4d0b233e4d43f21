import { streamPair } from '@libp2p/utils';
import { describe, expect, it, vi } from 'vitest';
import {
  ConnectionError,
  ForbiddenError,
  InvalidModelError,
  InvalidRecordError,
  NotFoundError,
  StoreError,
} from '../../../../protocols/errors.ts';
import {
  handleReplica,
  type ReplicaProgress,
  type ReplicaRequest,
  requestReplica,
} from '../../../../protocols/replica/index.ts';
import { hex, toHex } from '../../../support/hex.ts';
import { WAIT } from '../../../support/inference-peers.ts';
import { RawPeer } from '../../../support/raw-peer.ts';
import {
  brokenProgress,
  brokenRequests,
  progressVectors,
  refusalBytes,
  requestVectors,
} from '../../../vectors/replica.ts';

const REQUEST = requestVectors[0]?.message ?? expect.fail('no vector');
const REQUEST_BYTES = requestVectors[0]?.bytes ?? hex('');
const READY: ReplicaProgress = { state: 'ready' };
const WAY: readonly ReplicaProgress[] = [
  { state: 'fetching', bytes: 0, totalBytes: null },
  { state: 'fetching', bytes: 10, totalBytes: 20 },
  { state: 'fetching', bytes: 20, totalBytes: 20 },
  { state: 'loading' },
  READY,
];
const signal = (): AbortSignal => AbortSignal.timeout(5_000);

async function collect(
  progress: AsyncIterable<ReplicaProgress>,
  into: ReplicaProgress[] = [],
): Promise<ReplicaProgress[]> {
  for await (const step of progress) into.push(step);
  return into;
}

async function* steps(...progress: readonly ReplicaProgress[]): AsyncGenerator<ReplicaProgress> {
  yield* progress;
}

/** An asker that is real, and a node that answers what a test says. */
async function ask(giveUp = signal()) {
  const [outbound, inbound] = await streamPair();
  const node = new RawPeer(inbound, { framed: false });
  const heard: ReplicaProgress[] = [];
  const asked = collect(requestReplica(outbound, REQUEST, giveUp), heard);
  asked.catch(() => {});
  return { node, asked, heard };
}

/** A node that is real, and an asker that says what a test says. */
async function hold(
  holder: (request: ReplicaRequest, signal: AbortSignal) => AsyncIterable<ReplicaProgress> = () =>
    steps(READY),
  giveUp = signal(),
) {
  const [outbound, inbound] = await streamPair();
  const peer = new RawPeer(outbound, { framed: false });
  const held = vi.fn(holder);
  return { peer, held, handled: handleReplica(inbound, held, giveUp) };
}

/** Both ends, real. */
async function exchange(
  holder: () => AsyncIterable<ReplicaProgress>,
  heard: ReplicaProgress[] = [],
) {
  const [outbound, inbound] = await streamPair();
  const handled = handleReplica(inbound, holder, signal());
  try {
    return await collect(requestReplica(outbound, REQUEST, signal()), heard);
  } finally {
    await handled;
  }
}

describe('requestReplica', () => {
  it('writes the request', async () => {
    const { node } = await ask();
    expect(toHex(await node.bytesHeard(REQUEST_BYTES.byteLength))).toBe(toHex(REQUEST_BYTES));
  });

  it('yields progress as it comes, and ends with the first that is ready', async () => {
    const { node, asked, heard } = await ask();
    for (const [index, { bytes }] of progressVectors.entries()) {
      node.send(bytes);
      await vi.waitFor(() => expect(heard).toHaveLength(index + 1), WAIT);
    }
    expect(await asked).toEqual(progressVectors.map(({ message }) => message));
    await vi.waitFor(() => expect(node.stream.remoteWriteStatus).toBe('closed'), WAIT);
  });

  it('rejects with the node’s refusal, after what came before it', async () => {
    const { node, asked, heard } = await ask();
    node.send(progressVectors[0]?.bytes ?? hex(''), refusalBytes);
    await expect(asked).rejects.toMatchObject({
      code: 'ERR_FORBIDDEN',
      message: 'no',
      details: { remote: true },
    });
    expect(heard).toEqual([progressVectors[0]?.message]);
    await node.reset();
  });

  it.each(brokenProgress)('refuses and resets: progress $name', async ({ bytes }) => {
    const { node, asked } = await ask();
    node.send(bytes);
    await expect(asked).rejects.toMatchObject({ code: 'ERR_INVALID_MESSAGE' });
    await node.reset();
  });

  it('reports a node that ends or resets before it is ready', async () => {
    const ended = await ask();
    ended.node.send(progressVectors[0]?.bytes ?? hex(''));
    await ended.node.stream.close();
    await expect(ended.asked).rejects.toMatchObject({ code: 'ERR_CONNECTION' });
    const reset = await ask();
    reset.node.stream.abort(new Error('power cut'));
    await expect(reset.asked).rejects.toMatchObject({ code: 'ERR_CONNECTION' });
  });

  it('gives up when its signal says so, and resets the stream', async () => {
    const giveUp = new AbortController();
    const { node, asked } = await ask(giveUp.signal);
    await node.bytesHeard(1);
    giveUp.abort(new Error('late'));
    await expect(asked).rejects.toThrow('late');
    await node.reset();
  });

  it('resets the stream when its reader leaves early', async () => {
    const [outbound, inbound] = await streamPair();
    const node = new RawPeer(inbound, { framed: false });
    node.send(progressVectors[0]?.bytes ?? hex(''), progressVectors[1]?.bytes ?? hex(''));
    for await (const { state } of requestReplica(outbound, REQUEST, signal())) {
      expect(state).toBe('fetching');
      break;
    }
    await node.reset();
  });
});

describe('handleReplica', () => {
  it.each(requestVectors)('reads the $name', async ({ bytes, message }) => {
    const { peer, held, handled } = await hold();
    peer.send(bytes);
    await handled;
    expect(held.mock.calls).toEqual([[message, expect.any(AbortSignal)]]);
  });

  it('writes progress as it is made, and ends', async () => {
    const { peer, handled } = await hold(() =>
      steps(...progressVectors.map(({ message }) => message)),
    );
    peer.send(REQUEST_BYTES);
    await handled;
    const expected = Buffer.concat(progressVectors.map(({ bytes }) => bytes));
    expect(toHex(await peer.bytesHeard(expected.byteLength))).toBe(toHex(expected));
    await vi.waitFor(() => expect(peer.stream.remoteWriteStatus).toBe('closed'), WAIT);
  });

  it('writes a refusal', async () => {
    const { peer, handled } = await hold(() => {
      throw new ForbiddenError('no');
    });
    peer.send(REQUEST_BYTES);
    await handled;
    expect(toHex(await peer.bytesHeard(refusalBytes.byteLength))).toBe(toHex(refusalBytes));
  });

  it.each(brokenRequests)(
    'resets the stream and holds nothing: request $name',
    async ({ bytes }) => {
      const { peer, held, handled } = await hold();
      peer.send(bytes);
      await handled;
      await peer.reset();
      expect(held).not.toHaveBeenCalled();
    },
  );

  it('resets the stream and holds nothing at every cut of a request', async () => {
    for (let length = 0; length < REQUEST_BYTES.byteLength; length += 1) {
      const { peer, held, handled } = await hold();
      if (length > 0) peer.send(REQUEST_BYTES.subarray(0, length));
      await peer.stream.close();
      await handled;
      expect(held, `${length} bytes`).not.toHaveBeenCalled();
    }
  });

  it('resolves when the asker resets while it waits for progress, or time is up', async () => {
    const leaving = await hold(async function* wait() {
      await vi.waitFor(() => expect(leaving.peer.stream.status).toBe('aborted'), WAIT);
      yield* WAY;
    });
    leaving.peer.send(REQUEST_BYTES);
    await vi.waitFor(() => expect(leaving.held).toHaveBeenCalled(), WAIT);
    leaving.peer.stream.abort(new Error('gone'));
    await leaving.handled;
    const silent = await hold(undefined, AbortSignal.timeout(10));
    await silent.handled;
    await silent.peer.reset();
  });
});

describe('requestReplica and handleReplica', () => {
  it('carry progress in the order it is made', async () => {
    expect(await exchange(() => steps(...WAY))).toEqual(WAY);
  });

  it.each([
    new ForbiddenError('publisher not allowed'),
    new InvalidRecordError('record is expired'),
    new InvalidModelError("operator 'Foo' is unknown"),
    new StoreError('disk is full'),
    new NotFoundError('nobody has block 3'),
  ])('carry a refusal in the middle: $code', async (refusal) => {
    const heard: ReplicaProgress[] = [];
    const holder = async function* refuse() {
      yield* WAY.slice(0, 2);
      throw refusal;
    };
    await expect(exchange(holder, heard)).rejects.toMatchObject({
      code: refusal.code,
      message: refusal.message,
    });
    expect(heard).toEqual(WAY.slice(0, 2));
  });

  it('tell nothing of an error that is not for the asker', async () => {
    for (const error of [new TypeError('/secret'), new ConnectionError('no way to 10.0.0.1')]) {
      const holder = () => {
        throw error;
      };
      await expect(exchange(holder)).rejects.toMatchObject({ code: 'ERR_INTERNAL' });
    }
  });

  it('take an end without ready for a broken exchange', async () => {
    await expect(exchange(() => steps({ state: 'loading' }))).rejects.toMatchObject({
      code: 'ERR_CONNECTION',
    });
  });
});
