import type { Stream } from '@libp2p/interface';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { BusyError } from '../../../../protocols/errors.ts';
import { FRAME } from '../../../../protocols/inference/frame-type.ts';
import {
  CallerAccounts,
  InferenceConnection,
  type InferenceHandlerInit,
} from '../../../../protocols/inference/index.ts';
import { decodeFailure, encodeRequest } from '../../../../protocols/inference/message.ts';
import { MAX_REFUSED_BYTES_PER_SECOND } from '../../../../protocols/limits.ts';
import { STATUS } from '../../../../protocols/status.ts';
import { Tensor } from '../../../../protocols/tensor.ts';
import {
  HeldHandler,
  requestOf,
  resultOf,
  type ServedStream,
  serve,
  WAIT,
} from '../../../support/inference-peers.ts';
import { createLibp2pPair, type Libp2pPair } from '../../../support/libp2p-pair.ts';
import { RawPeer } from '../../../support/raw-peer.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Bytes that libp2p may hold of a stream before bodies wait: four chunks, and the one that went over. */
const HELD_BYTES = 5 * 64 * KIB + 100;

const open: Libp2pPair[] = [];

afterEach(async () => {
  for (const pair of open.splice(0)) await pair[Symbol.asyncDispose]();
});

async function openPair(
  handler: HeldHandler,
  init: InferenceHandlerInit = {},
): Promise<Libp2pPair & ServedStream> {
  let serving: ServedStream | undefined;
  const pair = await createLibp2pPair((stream) => {
    serving = serve(stream, handler, init);
  });
  open.push(pair);
  if (serving === undefined) throw new Error('nobody came');
  return Object.assign(pair, serving);
}

/** The largest that a stream's write buffer was found to be, after each send. */
function watchWriteBuffer(stream: Stream): () => number {
  let largest = 0;
  const send = stream.send.bind(stream);
  vi.spyOn(stream, 'send').mockImplementation((data) => {
    const canSendMore = send(data);
    largest = Math.max(largest, stream.writeBufferLength);
    return canSendMore;
  });
  return () => largest;
}

function outputOf(byteLength: number) {
  const tensor = new Tensor('UINT8', [byteLength], new Uint8Array(byteLength).fill(3));
  return resultOf([{ name: 'y', tensor }]);
}

describe('InferenceConnection over TCP, TLS and yamux', () => {
  it('gets a small request answered while a body of 32 MiB is on its way', async () => {
    const handler = new HeldHandler({ echoes: true });
    const { outbound } = await openPair(handler);
    const held = watchWriteBuffer(outbound);
    const connection = new InferenceConnection(outbound);
    const order: string[] = [];
    const large = connection.infer(requestOf(32 * MIB)).then((response) => {
      order.push('large');
      return response;
    });
    await vi.waitFor(() => expect(held()).toBeGreaterThan(64 * KIB), WAIT);
    for (const size of [1, 2, 64 * KIB]) {
      await connection.infer(requestOf(size));
      order.push(`small ${size}`);
    }
    const { outputs } = await large;
    expect(
      Buffer.compare(
        outputs[0]?.tensor.bytes ?? Buffer.of(),
        requestOf(32 * MIB).inputs[0]?.tensor.bytes ?? Buffer.of(1),
      ),
    ).toBe(0);
    expect(order).toEqual(['small 1', 'small 2', `small ${64 * KIB}`, 'large']);
    expect(held()).toBeLessThan(HELD_BYTES + 70 * KIB);
    await connection.close();
  });

  it('takes turns with two bodies and many small requests, both ways', async () => {
    const { outbound, served, protocolErrors } = await openPair(new HeldHandler({ echoes: true }));
    const connection = new InferenceConnection(outbound);
    const sizes = [5 * MIB, 5 * MIB, ...Array.from({ length: 200 }, (_, index) => index * 400)];
    const answers = await Promise.all(sizes.map((size) => connection.infer(requestOf(size))));
    expect(answers.map(({ outputs }) => outputs[0]?.tensor.size)).toEqual(sizes);
    await connection.close();
    await served;
    expect(protocolErrors).toEqual([]);
  });
});

describe('handleInference over TCP, TLS and yamux', () => {
  it('holds a large answer back from a caller that does not read, and sends it on when it does', async () => {
    const handler = new HeldHandler();
    const { outbound, inbound } = await openPair(handler);
    const held = watchWriteBuffer(inbound);
    const connection = new InferenceConnection(outbound);
    const answered = connection.infer(requestOf(1));
    const execution = await handler.executing();
    outbound.pause();
    execution.answer(outputOf(3 * MIB));
    // yamux takes a window of 256 KiB; then the stream holds what it may, and the body waits.
    await vi.waitFor(() => expect(inbound.writeBufferLength).toBeGreaterThan(256 * KIB), WAIT);
    expect(held()).toBeLessThan(HELD_BYTES);
    outbound.resume();
    expect((await answered).outputs[0]?.tensor.bytes.every((byte) => byte === 3)).toBe(true);
    await connection.close();
  });

  it('keeps small answers open for a caller that does not read, so that the bound of open requests holds', async () => {
    const handler = new HeldHandler();
    const { outbound, inbound, served, protocolErrors } = await openPair(handler);
    const peer = new RawPeer(outbound);
    const inputs = [{ name: 'x', datatype: 'UINT8', shape: [1], byteLength: 1 }] as const;
    const header = encodeRequest({ ...requestOf(0), responseCredit: 64 * KIB, inputs });
    outbound.pause();
    let id = 0;
    // The window of yamux and four chunks in libp2p are full after some twenty; all further answers wait open.
    const ask = async (count: number): Promise<void> => {
      for (let asked = 0; asked < count; asked += 1)
        peer.frame(FRAME.request, ++id, header, Uint8Array.of(1));
      await handler.executing(id - 1);
      for (const execution of handler.executions.slice(id - count))
        execution.answer(outputOf(64 * KIB));
    };
    await ask(30);
    await vi.waitFor(() => expect(inbound.writeBufferLength).toBeGreaterThan(256 * KIB), WAIT);
    await ask(900);
    expect(inbound.writeBufferLength).toBeLessThan(HELD_BYTES + 30 * 64 * KIB);
    for (let asked = 0; asked < 200; asked += 1)
      peer.frame(FRAME.request, ++id, header, Uint8Array.of(1));
    await served;
    expect(protocolErrors).toMatchObject([
      { message: expect.stringMatching(/more than 1024 requests open/) },
    ]);
  });

  /** Sends pings, each of which is owed a pong of as many bytes, and reads none. */
  function askWithoutReading({ outbound }: Libp2pPair, rounds: number) {
    const peer = new RawPeer(outbound, { framed: false });
    outbound.pause();
    const pings = Buffer.concat(
      Array.from({ length: 20_000 }, () => Buffer.from([5, 0, 0, 0, 7, 0, 0, 0, 0])),
    );
    for (let round = 0; round < rounds; round += 1) peer.send(pings);
    return { peer, sentBytes: rounds * pings.byteLength };
  }

  it('reads no more from a caller that asks and asks and reads nothing, and answers all once it reads', async () => {
    const opened = await openPair(new HeldHandler());
    const { outbound, inbound, protocolErrors } = opened;
    const held = watchWriteBuffer(inbound);
    const { peer, sentBytes } = askWithoutReading(opened, 40);
    await vi.waitFor(() => expect(inbound.readStatus).toBe('paused'), WAIT);
    // What came in one piece before it was stopped is answered: a window of yamux.
    expect(held()).toBeGreaterThan(MIB);
    expect(held()).toBeLessThan(2 * MIB);
    expect(outbound.writeBufferLength).toBeGreaterThan(MIB);
    outbound.resume();
    await vi.waitFor(() => expect(peer.received.byteLength).toBe(sentBytes), WAIT);
    expect(inbound.readStatus).toBe('readable');
    expect(protocolErrors).toEqual([]);
  });

  it('resets a stream whose caller has read nothing for too long', async () => {
    // The same time is what a frame has that is in part here, whose rest a busy machine may bring late.
    const opened = await openPair(new HeldHandler(), { frameTimeoutMs: 1_000 });
    askWithoutReading(opened, 40);
    await opened.served;
    expect(opened.protocolErrors).toMatchObject([
      {
        code: 'ERR_INVALID_MESSAGE',
        message: 'peer read nothing of what waits for it within 1000 ms',
      },
    ]);
  });

  it('reads a caller no faster that sends and sends what is refused, and answers it after all', async () => {
    const handler = new HeldHandler();
    handler.refusal = new BusyError('no room', 10);
    const accounts = new CallerAccounts();
    // As if it had sent much already.
    accounts.open('caller').refused(10 * MAX_REFUSED_BYTES_PER_SECOND, performance.now());
    const { outbound, inbound, protocolErrors } = await openPair(handler, { accounts });
    const peer = new RawPeer(outbound);
    const pause = vi.spyOn(inbound, 'pause');
    peer.frame(FRAME.request, 1, emptyRequest(0));
    await peer.heard(FRAME.failure, 1);
    expect(pause).toHaveBeenCalledOnce();
    handler.refusal = undefined;
    peer.frame(FRAME.request, 2, emptyRequest(0));
    await handler.executing();
    expect(inbound.readStatus).toBe('readable');
    expect(protocolErrors).toEqual([]);
  });

  it('drops an answer that its caller does not take, and keeps the stream', async () => {
    const handler = new HeldHandler();
    const { outbound } = await openPair(handler, { bodyTimeoutMs: 50 });
    const peer = new RawPeer(outbound);
    peer.frame(FRAME.request, 1, emptyRequest(0));
    (await handler.executing()).answer(outputOf(100_000));
    await peer.heard(FRAME.response, 1);
    const { failure } = decodeFailure((await peer.heard(FRAME.failure, 1)).payload);
    expect(failure).toMatchObject({
      status: STATUS.deadline,
      message: 'nothing was taken of an answer of 100000 bytes for 50 ms',
    });
    peer.frame(FRAME.request, 1, emptyRequest(0));
    await handler.executing(1);
  });
});

/** The header of a request without inputs. */
function emptyRequest(responseCredit: number): Uint8Array {
  return encodeRequest({ ...requestOf(0), responseCredit, inputs: [] });
}
