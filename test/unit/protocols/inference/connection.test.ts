import { streamPair } from '@libp2p/utils';
import { describe, expect, it, vi } from 'vitest';
import { FRAME } from '../../../../protocols/inference/frame-type.ts';
import {
  InferenceConnection,
  type InferenceConnectionInit,
  type InferenceResponse,
} from '../../../../protocols/inference/index.ts';
import {
  decodeCredit,
  decodeRequest,
  encodeFailure,
  encodeResponse,
} from '../../../../protocols/inference/message.ts';
import { MAX_DATA_CHUNK_BYTES, MAX_FRAME_BYTES } from '../../../../protocols/limits.ts';
import type { TensorDescriptor } from '../../../../protocols/types.ts';
import { hex } from '../../../support/hex.ts';
import { LOAD, requestOf, VERSION, WAIT } from '../../../support/inference-peers.ts';
import { RawPeer } from '../../../support/raw-peer.ts';
import { refusedFrames } from '../../../vectors/frame.ts';
import { refusedFailures, refusedResponses } from '../../../vectors/inference-answer.ts';

const MIB = 1024 * 1024;
const CREDIT_BYTES = 4 * MIB;

/** Long enough that a busy machine is not taken for a dead one: past 500 ms a late timer is forgiven. */
const SILENCE_MS = 750;

interface Opened {
  readonly node: RawPeer;
  readonly connection: InferenceConnection;
  /** Sends a request of one byte and waits until the node has it. */
  readonly ask: (
    signal?: AbortSignal,
  ) => Promise<{ readonly id: number; readonly answered: Promise<InferenceResponse> }>;
}

async function open(init: InferenceConnectionInit = {}): Promise<Opened> {
  const [outbound, inbound] = await streamPair();
  const node = new RawPeer(inbound);
  const connection = new InferenceConnection(outbound, init);
  let id = 0;
  return {
    node,
    connection,
    ask: async (signal) => {
      const answered = connection.infer(requestOf(1), { signal });
      // Looked at by the test later: until then it is nobody's.
      answered.catch(() => {});
      id += 1;
      await node.heard(FRAME.request, id);
      return { id, answered };
    },
  };
}

function response(...outputs: readonly TensorDescriptor[]): Uint8Array {
  return encodeResponse({ load: LOAD, queueMs: 0, executeMs: 0, releaseSequence: 0, outputs });
}

function output(byteLength: number, shape = [byteLength]): TensorDescriptor {
  return { name: 'y', datatype: 'UINT8', shape, byteLength };
}

/** What every open request fails with, and every later one: nothing is pending any more. */
async function failureOf(
  opened: Opened,
  ...answers: readonly Promise<unknown>[]
): Promise<unknown> {
  const settled = await Promise.allSettled(answers);
  settled.push(...(await Promise.allSettled([opened.connection.infer(requestOf(1))])));
  expect(opened.connection.inFlight).toBe(0);
  const closed = vi.fn();
  opened.connection.onClose(closed);
  expect(closed).toHaveBeenCalledTimes(1);
  const reasons = settled.map((result) =>
    result.status === 'rejected' ? result.reason : 'answered',
  );
  expect(new Set(reasons).size).toBe(1);
  return reasons[0];
}

describe('InferenceConnection, to a node that breaks the protocol', () => {
  it.each(refusedFrames)(
    'fails all requests and resets: frame $name',
    async ({ bytes, message }) => {
      const opened = await open();
      const [first, second] = [await opened.ask(), await opened.ask()];
      opened.node.send(bytes);
      expect(await failureOf(opened, first.answered, second.answered)).toMatchObject({
        code: 'ERR_INVALID_MESSAGE',
        message: expect.stringMatching(message),
      });
      await opened.node.reset();
    },
  );

  it.each([
    ...refusedResponses.map((vector) => ({ ...vector, type: FRAME.response })),
    ...refusedFailures.map((vector) => ({ ...vector, type: FRAME.failure })),
  ])('fails all requests and resets: answer $name', async ({ type, bytes, message }) => {
    const opened = await open();
    const [first, second] = [await opened.ask(), await opened.ask()];
    opened.node.frame(type, first.id, bytes);
    expect(await failureOf(opened, first.answered, second.answered)).toMatchObject({
      code: 'ERR_INVALID_MESSAGE',
      message: expect.stringMatching(message),
    });
    await opened.node.reset();
  });

  it.each([
    ['a frame of an unknown type', 9, 1, hex(''), /sent a frame of type 9/],
    ['a frame of an unknown type for no request', 0, 77, hex(''), /sent a frame of type 0/],
    ['a frame that only a client sends', FRAME.ping, 0, hex(''), /sent a frame of type 7/],
    [
      'a body before its header',
      FRAME.data,
      1,
      hex('2a'),
      /a body for request 1 before its header/,
    ],
  ])('fails all requests and resets: %s', async (_, type, id, payload, message) => {
    const opened = await open();
    const { answered } = await opened.ask();
    opened.node.frame(type, id, payload);
    expect(await failureOf(opened, answered)).toMatchObject({
      code: 'ERR_INVALID_MESSAGE',
      message: expect.stringMatching(message),
    });
    await opened.node.reset();
  });

  it('fails all requests and resets: a second header', async () => {
    const opened = await open();
    const { id, answered } = await opened.ask();
    opened.node.frame(FRAME.response, id, response(output(10)));
    opened.node.frame(FRAME.response, id, response(output(10)));
    expect(await failureOf(opened, answered)).toMatchObject({
      message: 'node answered request 1 twice',
    });
  });

  it('fails all requests and resets: a body longer than its header said', async () => {
    const opened = await open();
    const { id, answered } = await opened.ask();
    opened.node.frame(FRAME.response, id, response(output(10)), hex('00'.repeat(9)));
    opened.node.frame(FRAME.data, id, hex('0000'));
    expect(await failureOf(opened, answered)).toMatchObject({
      message: 'body has 11 bytes, expected 10',
    });
  });

  it.each([
    ['a request that is answered already', 1],
    ['a request that was never made', 7],
  ])('fails all requests and resets: an answer to %s', async (_, id) => {
    const opened = await open();
    const { answered } = await opened.ask();
    opened.node.frame(FRAME.response, 1, response(output(1)), hex('01'));
    expect([...((await answered).outputs[0]?.tensor.bytes ?? [])]).toEqual([1]);
    const next = await opened.ask();
    opened.node.frame(FRAME.response, id, response(output(1)), hex('02'));
    expect(await failureOf(opened, next.answered)).toMatchObject({
      code: 'ERR_INVALID_MESSAGE',
      message: expect.stringMatching(`bytes for request ${id}, which is not open`),
    });
    await opened.node.reset();
  });

  it('fails all requests and resets: more for one that was taken back than can have been on its way', async () => {
    const opened = await open();
    const taken = new AbortController();
    const { id, answered } = await opened.ask(taken.signal);
    taken.abort();
    await expect(answered).rejects.toMatchObject({ name: 'AbortError' });
    const piece = new Uint8Array(MAX_DATA_CHUNK_BYTES);
    const next = await opened.ask();
    for (let sent = 0; sent < CREDIT_BYTES; sent += piece.byteLength) {
      opened.node.frame(FRAME.data, id, piece);
    }
    opened.node.frame(FRAME.response, next.id, response());
    // All that had credit may have been on its way.
    expect((await next.answered).outputs).toEqual([]);
    const last = await opened.ask();
    for (let sent = 0; sent <= MAX_FRAME_BYTES; sent += piece.byteLength) {
      opened.node.frame(FRAME.data, id, piece);
    }
    expect(await failureOf(opened, last.answered)).toMatchObject({
      code: 'ERR_INVALID_MESSAGE',
      message: `node sent ${MAX_DATA_CHUNK_BYTES} bytes for request ${id}, which is not open`,
    });
  });
});

describe('InferenceConnection, to a node that gives a wrong answer', () => {
  it.each([
    [
      'bytes that cannot fill the shape',
      output(10, [3]),
      /tensor 'y' has 10 bytes, expected 3 for UINT8\[3\]/,
    ],
    [
      'a shape that cannot be counted',
      output(1, [2 ** 52, 2 ** 52]),
      /causes total element count to exceed maximum size/,
    ],
  ])('fails that request alone: %s', async (_, wrong, message) => {
    const opened = await open();
    const [broken, other] = [await opened.ask(), await opened.ask()];
    opened.node.frame(FRAME.response, broken.id, response(wrong));
    await expect(broken.answered).rejects.toMatchObject({
      code: 'ERR_INVALID_MESSAGE',
      message: expect.stringMatching(message),
    });
    await opened.node.heard(FRAME.cancel, broken.id);
    opened.node.frame(FRAME.response, other.id, response());
    await other.answered;
  });

  it('fails that request alone: strings that do not add up', async () => {
    const opened = await open();
    const { id, answered } = await opened.ask();
    const strings = { name: 'y', datatype: 'BYTES', shape: [1], byteLength: 6 } as const;
    opened.node.frame(FRAME.response, id, response(strings), hex('09000000 6161'));
    await expect(answered).rejects.toMatchObject({
      code: 'ERR_INVALID_MESSAGE',
      message: expect.stringMatching(/response is malformed/),
    });
  });

  it('fails that request alone: more bytes than the caller takes', async () => {
    const opened = await open({ maxResponseBytes: 10 });
    const [small, large] = [await opened.ask(), await opened.ask()];
    opened.node.frame(FRAME.response, small.id, response(output(10)), hex('00'.repeat(10)));
    opened.node.frame(FRAME.response, large.id, response(output(11)));
    expect((await small.answered).outputs[0]?.tensor.size).toBe(10);
    await expect(large.answered).rejects.toMatchObject({
      code: 'ERR_LIMIT',
      message: 'response has 11 bytes of tensors, expected at most 10',
    });
    await opened.node.heard(FRAME.cancel, large.id);
  });

  it('takes an unknown status for an internal error', async () => {
    const opened = await open();
    const { id, answered } = await opened.ask();
    const failure = { status: 250, message: 'what\u0007?', afterMs: null };
    opened.node.frame(FRAME.failure, id, encodeFailure({ failure, load: LOAD }));
    await expect(answered).rejects.toMatchObject({
      code: 'ERR_INTERNAL',
      message: 'unknown status 250: what ?',
      details: { load: LOAD, remote: true },
    });
  });

  it('takes a failure after a header that had its body to come', async () => {
    const opened = await open();
    const { id, answered } = await opened.ask();
    opened.node.frame(FRAME.response, id, response(output(100_000)));
    opened.node.frame(
      FRAME.failure,
      id,
      encodeFailure({ failure: { status: 12, message: '', afterMs: null }, load: LOAD }),
    );
    await expect(answered).rejects.toMatchObject({ code: 'ERR_EXECUTION' });
    expect(opened.connection.inFlight).toBe(0);
  });
});

describe('InferenceConnection, to a node that goes away', () => {
  it.each([
    ['is reset', (node: RawPeer) => node.stream.abort(new Error('power cut'))],
    [
      'ends inside a frame',
      (node: RawPeer) => {
        node.send(hex('ff00'));
        void node.stream.close();
      },
    ],
    ['ends cleanly', (node: RawPeer) => void node.stream.close()],
  ])('fails all requests when the stream %s', async (_, goAway) => {
    const opened = await open();
    const [waiting, answering] = [await opened.ask(), await opened.ask()];
    const large = opened.connection.infer(requestOf(MIB));
    large.catch(() => {});
    opened.node.frame(FRAME.response, answering.id, response(output(100)), hex('00'));
    await opened.node.heard(FRAME.request, 3);
    goAway(opened.node);
    expect(await failureOf(opened, waiting.answered, answering.answered, large)).toMatchObject({
      code: 'ERR_CONNECTION',
    });
  });

  it('fails all requests and resets the stream when the node falls silent', async () => {
    const opened = await open({ silenceTimeoutMs: SILENCE_MS });
    const [first, second] = [await opened.ask(), await opened.ask()];
    expect(await failureOf(opened, first.answered, second.answered)).toMatchObject({
      code: 'ERR_CONNECTION',
      message: expect.stringMatching(/^node sent nothing for \d+ ms$/),
    });
    expect(opened.node.frames.filter(({ type }) => type === FRAME.ping)).toContainEqual({
      type: FRAME.ping,
      id: 0,
      payload: Buffer.of(),
    });
    await opened.node.reset();
  });

  it('waits for as long as the node answers pings', async () => {
    const opened = await open({ silenceTimeoutMs: SILENCE_MS });
    const { id, answered } = await opened.ask();
    opened.node.stream.addEventListener('message', () => opened.node.frame(FRAME.pong, 0));
    const pings = () => opened.node.frames.filter(({ type }) => type === FRAME.ping).length;
    await vi.waitFor(() => expect(pings()).toBeGreaterThan(4), WAIT);
    opened.node.frame(FRAME.response, id, response());
    await answered;
  });

  it('tells how long a pong took, with one ping under way at a time', async () => {
    const roundTrips: number[] = [];
    const opened = await open({ onRoundTrip: (ms) => roundTrips.push(ms) });
    const pings = () => opened.node.frames.filter(({ type }) => type === FRAME.ping).length;
    void opened.connection.measure();
    void opened.connection.measure();
    await vi.waitFor(() => expect(pings()).toBe(1), WAIT);
    opened.node.frame(FRAME.pong, 0);
    await vi.waitFor(() => expect(roundTrips).toHaveLength(1), WAIT);
    expect(roundTrips[0]).toBeGreaterThanOrEqual(0);
    void opened.connection.measure();
    await vi.waitFor(() => expect(pings()).toBe(2), WAIT);
    expect(roundTrips).toHaveLength(1);
  });

  it('fails all requests when it is closed here, and closes twice', async () => {
    const opened = await open();
    const { answered } = await opened.ask();
    const closed = vi.fn();
    opened.connection.onClose(closed);
    await Promise.all([opened.connection.close(), opened.connection.close()]);
    expect(closed).toHaveBeenCalledTimes(1);
    expect(await failureOf(opened, answered)).toMatchObject({
      code: 'ERR_CONNECTION',
      message: 'inference stream was closed here',
    });
    await vi.waitFor(() => expect(opened.node.stream.remoteWriteStatus).toBe('closed'), WAIT);
  });
});

describe('InferenceConnection', () => {
  it('sends the body beside the header up to 65536 bytes, and so much of a larger one behind it', async () => {
    const opened = await open();
    void opened.connection.infer(requestOf(65_536)).catch(() => {});
    void opened.connection.infer(requestOf(65_537)).catch(() => {});
    const beside = decodeRequest((await opened.node.heard(FRAME.request, 1)).payload);
    expect(beside.inlineBody).toHaveLength(65_536);
    expect(beside.header).toMatchObject({ version: VERSION, responseCredit: CREDIT_BYTES });
    const large = decodeRequest((await opened.node.heard(FRAME.request, 2)).payload);
    expect(large.inlineBody).toHaveLength(0);
    expect(large.header.inputs).toMatchObject([{ byteLength: 65_537 }]);
    const { payload } = await opened.node.heard(FRAME.data, 2);
    expect(payload).toHaveLength(65_536);
    expect(opened.node.frames).toHaveLength(3);
  });

  it('sends as much of a body as it has credit for', async () => {
    const opened = await open();
    void opened.connection.infer(requestOf(200_000)).catch(() => {});
    await opened.node.heard(FRAME.request);
    const sentBytes = () =>
      opened.node.frames.reduce(
        (sum, { type, payload }) => sum + (type === FRAME.data ? payload.byteLength : 0),
        0,
      );
    opened.node.frame(FRAME.credit, 1, hex('f0a204')); // 70000
    await vi.waitFor(() => expect(sentBytes()).toBe(65_536 + 70_000), WAIT);
    void opened.connection.infer(requestOf(1)).catch(() => {});
    await opened.node.heard(FRAME.request, 2);
    expect(sentBytes()).toBe(65_536 + 70_000);
  });

  it('grants a response more credit when half is used, until all may come', async () => {
    const opened = await open();
    const { id, answered } = await opened.ask();
    const bodyBytes = 7 * MIB;
    opened.node.frame(FRAME.response, id, response(output(bodyBytes)));
    for (let sent = 0; sent < bodyBytes; sent += 65_536)
      opened.node.frame(FRAME.data, id, new Uint8Array(65_536));
    expect((await answered).outputs[0]?.tensor.size).toBe(bodyBytes);
    const credits = opened.node.frames.filter(({ type }) => type === FRAME.credit);
    expect(credits.map(({ payload }) => decodeCredit(payload))).toEqual([CREDIT_BYTES]);
  });

  it('gives each tensor memory of its own', async () => {
    const opened = await open();
    const { id, answered } = await opened.ask();
    opened.node.frame(
      FRAME.response,
      id,
      response(output(3), output(5_000)),
      new Uint8Array(5_003),
    );
    for (const { tensor } of (await answered).outputs) {
      expect(tensor.bytes).not.toBeInstanceOf(Buffer);
      expect(tensor.bytes.buffer.byteLength).toBe(tensor.bytes.byteLength);
    }
  });
});
