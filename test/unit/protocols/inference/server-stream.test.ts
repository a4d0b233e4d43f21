import { streamPair } from '@libp2p/utils';
import { describe, expect, it, vi } from 'vitest';
import { DATATYPES } from '../../../../protocols/datatype.ts';
import { BusyError } from '../../../../protocols/errors.ts';
import { FRAME } from '../../../../protocols/inference/frame-type.ts';
import {
  BodyBudget,
  handleInference,
  InferenceConnection,
  type InferenceHandlerInit,
} from '../../../../protocols/inference/index.ts';
import {
  decodeCredit,
  decodeFailure,
  decodeResponse,
  encodeCredit,
  encodeRequest,
} from '../../../../protocols/inference/message.ts';
import { STATUS } from '../../../../protocols/status.ts';
import { Tensor } from '../../../../protocols/tensor.ts';
import type { TensorDescriptor } from '../../../../protocols/types.ts';
import { hex } from '../../../support/hex.ts';
import {
  HeldHandler,
  LOAD,
  requestOf,
  resultOf,
  serve,
  WAIT,
} from '../../../support/inference-peers.ts';
import { createLibp2pPair } from '../../../support/libp2p-pair.ts';
import { RawPeer } from '../../../support/raw-peer.ts';
import { frameVectors, refusedFrames } from '../../../vectors/frame.ts';
import { refusedRequests } from '../../../vectors/inference.ts';

const LARGE_BYTES = 100_000;

interface Opened {
  readonly peer: RawPeer;
  readonly handler: HeldHandler;
  readonly served: Promise<void>;
  readonly protocolErrors: Error[];
  /** Sends a header with one UINT8 input of so many bytes, and what of the body is to go with it. */
  readonly request: (
    id: number,
    byteLength: number,
    inline?: number,
    header?: Partial<HeaderChanges>,
  ) => void;
}

interface HeaderChanges {
  readonly deadlineMs: number;
  readonly responseCredit: number;
  readonly inputs: readonly TensorDescriptor[];
}

async function open(init: InferenceHandlerInit = {}): Promise<Opened> {
  const [outbound, inbound] = await streamPair();
  const peer = new RawPeer(outbound);
  const handler = new HeldHandler();
  return {
    peer,
    handler,
    ...serve(inbound, handler, init),
    request: (id, byteLength, inline = 0, header = {}) => {
      const inputs = [{ name: 'x', datatype: 'UINT8', shape: [byteLength], byteLength } as const];
      const bytes = encodeRequest({ ...requestOf(0), responseCredit: 0, inputs, ...header });
      peer.frame(FRAME.request, id, bytes, new Uint8Array(inline));
    },
  };
}

/** Why the stream was reset: once, after which nothing of what came on it goes on. */
async function faultOf(opened: Opened): Promise<string> {
  await opened.peer.reset();
  await opened.served;
  expect(opened.protocolErrors).toHaveLength(1);
  expect(opened.protocolErrors[0]).toMatchObject({ code: 'ERR_INVALID_MESSAGE' });
  for (const { signal } of opened.handler.executions) expect(signal.aborted).toBe(true);
  return opened.protocolErrors[0]?.message ?? '';
}

describe('handleInference, given what breaks the protocol', () => {
  it.each(refusedFrames)('resets the stream: frame $name', async ({ bytes, message }) => {
    const opened = await open();
    opened.request(1, 1, 1);
    await opened.handler.executing();
    opened.peer.send(bytes);
    expect(await faultOf(opened)).toMatch(message);
  });

  it.each(refusedRequests.filter(({ bytes }) => bytes.byteLength < 262_000))(
    'resets the stream: request $name',
    async ({ bytes, message }) => {
      const opened = await open();
      opened.request(1, 1, 1);
      await opened.handler.executing();
      opened.peer.frame(FRAME.request, 2, bytes);
      expect(await faultOf(opened)).toMatch(message);
    },
  );

  it.each([
    ['a frame of an unknown type', 9, hex(''), /sent a frame of type 9/],
    ['a frame that only a node sends', FRAME.response, hex(''), /sent a frame of type 5/],
    [
      'more data than comes unasked, without credit',
      FRAME.data,
      new Uint8Array(65_537),
      /sent 65537 bytes of a body, expected at most the 65536 granted/,
    ],
    ['empty data', FRAME.data, hex(''), /data without bytes/],
    ['a credit that is none', FRAME.credit, hex('ff'), /ends inside bytes/],
    [
      'a request with an id that is open',
      FRAME.request,
      encodeRequest({ ...requestOf(0), responseCredit: 0, inputs: [] }),
      /request 2 is open already/,
    ],
  ])('resets the stream: %s', async (_, type, payload, message) => {
    // No room, so that request 2 is granted nothing.
    const budget = new BodyBudget(1);
    budget.reserve(1, () => {});
    const opened = await open({ budget });
    opened.request(1, 1, 1);
    opened.request(2, LARGE_BYTES);
    await opened.handler.executing();
    await vi.waitFor(() => expect(opened.handler.admitted).toHaveLength(2), WAIT);
    if (type === FRAME.credit) {
      // Only a request that is being answered takes credit.
      const tensor = new Tensor('UINT8', [LARGE_BYTES], new Uint8Array(LARGE_BYTES));
      opened.handler.executions[0]?.answer(resultOf([{ name: 'y', tensor }]));
      await opened.peer.heard(FRAME.response, 1);
    }
    opened.peer.frame(type, type === FRAME.credit ? 1 : 2, payload);
    expect(await faultOf(opened)).toMatch(message);
  });

  it('resets the stream: a body longer than its header said', async () => {
    const opened = await open();
    opened.request(1, LARGE_BYTES);
    await opened.peer.heard(FRAME.credit);
    opened.peer.frame(FRAME.data, 1, new Uint8Array(50_000));
    opened.peer.frame(FRAME.data, 1, new Uint8Array(50_001));
    expect(await faultOf(opened)).toMatch(
      /sent 100001 bytes of a body, expected at most the 100000 granted/,
    );
    expect(opened.handler.executions).toEqual([]);
  });

  it('resets the stream: a body that comes again while it is executed', async () => {
    const opened = await open();
    opened.request(1, 4, 4);
    await opened.handler.executing();
    opened.peer.frame(FRAME.data, 1, hex('2a'));
    expect(await faultOf(opened)).toMatch(/sent 5 bytes of a body, expected at most the 4 granted/);
  });

  it.each([
    ['shorter', 3],
    ['longer', 5],
  ])('resets the stream: a body beside its header that is %s than said', async (_, inline) => {
    const opened = await open();
    opened.request(1, 4, inline);
    expect(await faultOf(opened)).toMatch(
      /bytes of body beside its header, expected all 4 or none/,
    );
  });

  it('resets the stream at the 1025th open request, and takes 1024', async () => {
    const opened = await open();
    for (let id = 1; id <= 1024; id += 1) opened.request(id, 1, 1);
    await opened.handler.executing(1023);
    expect(opened.protocolErrors).toEqual([]);
    opened.request(1025, 1, 1);
    expect(await faultOf(opened)).toMatch(/more than 1024 requests open/);
    expect(opened.handler.executions).toHaveLength(1024);
  });

  it('resets the stream: half a frame and then nothing', async () => {
    const opened = await open({ frameTimeoutMs: 20 });
    opened.request(1, 1, 1);
    await opened.handler.executing();
    opened.peer.send(hex('10000000 01'));
    expect(await faultOf(opened)).toMatch(/did not end a frame within 20 ms/);
  });

  it('reports no fault of protocol when a caller resets the stream or ends it inside a frame', async () => {
    const aborted = await open();
    aborted.request(1, 1, 1);
    const { signal } = await aborted.handler.executing();
    aborted.peer.stream.abort(new Error('power cut'));
    await aborted.served;
    expect(signal.aborted).toBe(true);
    const cut = await open();
    cut.peer.send(hex('10000000 01'));
    await cut.peer.stream.close();
    await cut.served;
    expect([...aborted.protocolErrors, ...cut.protocolErrors]).toEqual([]);
  });
});

describe('handleInference', () => {
  it('answers a ping with a pong', async () => {
    const opened = await open();
    opened.peer.send(frameVectors[0].bytes);
    expect(await opened.peer.heard(FRAME.pong)).toEqual({ type: 8, id: 0, payload: Buffer.of() });
    await opened.peer.stream.close();
    await opened.served;
  });

  it('takes an id again once it is closed', async () => {
    const opened = await open();
    for (let round = 0; round < 3; round += 1) {
      opened.request(7, 1, 1);
      (await opened.handler.executing(round)).echo();
      await vi.waitFor(() => expect(opened.peer.frames).toHaveLength(round + 1), WAIT);
    }
    await opened.peer.stream.close();
    await opened.served;
    expect(opened.protocolErrors).toEqual([]);
  });

  it('grants a large body credit for all but what comes unasked, once', async () => {
    const opened = await open();
    opened.request(1, 65_537);
    expect(decodeCredit((await opened.peer.heard(FRAME.credit, 1)).payload)).toBe(1);
    opened.peer.frame(FRAME.data, 1, new Uint8Array(65_536));
    opened.peer.frame(FRAME.data, 1, Uint8Array.of(9));
    const { inputs } = await opened.handler.executing();
    expect(inputs[0]?.tensor.bytes.at(-1)).toBe(9);
    expect(opened.peer.frames.filter(({ type }) => type === FRAME.credit)).toHaveLength(1);
  });

  it('needs to grant nothing for a small body that is not beside its header', async () => {
    const opened = await open();
    opened.request(1, 65_536);
    opened.peer.frame(FRAME.data, 1, new Uint8Array(65_536).fill(3));
    const { inputs } = await opened.handler.executing();
    expect(inputs[0]?.tensor.bytes.every((byte) => byte === 3)).toBe(true);
    expect(opened.peer.frames).toEqual([]);
  });

  it.each([
    ['a part of it', 65_536, [65_536]],
    ['all of it', 65_536, []],
  ])('keeps %s that came unasked until there is room', async (_, earlyBytes, rest) => {
    const budget = new BodyBudget(1);
    const release = budget.reserve(1, () => {});
    const opened = await open({ budget });
    opened.request(1, earlyBytes + rest.length * 65_536);
    const early = new Uint8Array(earlyBytes).fill(1);
    for (let sent = 0; sent < earlyBytes; sent += 16_384)
      opened.peer.frame(FRAME.data, 1, early.subarray(sent, sent + 16_384));
    opened.peer.frame(FRAME.ping, 0);
    await opened.peer.heard(FRAME.pong);
    expect(opened.peer.frames.filter(({ type }) => type === FRAME.credit)).toEqual([]);
    expect(opened.handler.executions).toEqual([]);
    release();
    for (const bytes of rest) {
      await opened.peer.heard(FRAME.credit, 1);
      opened.peer.frame(FRAME.data, 1, new Uint8Array(bytes).fill(2));
    }
    const { inputs } = await opened.handler.executing();
    expect([0, earlyBytes - 1, -1].map((at) => inputs[0]?.tensor.bytes.at(at))).toEqual([
      1,
      1,
      rest.length === 0 ? 1 : 2,
    ]);
  });

  it('drops what came unasked after a header that it refused', async () => {
    const opened = await open();
    opened.handler.refusal = new BusyError('no room', 10);
    opened.request(1, LARGE_BYTES);
    opened.peer.frame(FRAME.data, 1, new Uint8Array(65_536));
    await opened.peer.heard(FRAME.failure, 1);
    opened.handler.refusal = undefined;
    opened.request(2, 1, 1);
    await opened.handler.executing();
    expect(opened.protocolErrors).toEqual([]);
  });

  it('refuses before it grants anything, and says its load', async () => {
    const opened = await open();
    opened.handler.refusal = Object.assign(new Error('secret'), { name: 'AbortError' });
    opened.request(1, LARGE_BYTES);
    const { payload } = await opened.peer.heard(FRAME.failure, 1);
    expect(decodeFailure(payload)).toEqual({
      failure: { status: STATUS.cancelled, message: 'cancelled', afterMs: null },
      load: LOAD,
    });
    expect(opened.peer.frames).toHaveLength(1);
  });

  it.each(DATATYPES)(
    'refuses %s tensors whose bytes cannot fill their shape, and keeps the stream',
    async (datatype) => {
      const opened = await open();
      const ask = (id: number, byteLength: number) =>
        opened.request(id, 0, 0, { inputs: [{ name: 'x', datatype, shape: [2], byteLength }] });
      ask(1, 1);
      const { failure } = decodeFailure((await opened.peer.heard(FRAME.failure, 1)).payload);
      expect(failure).toMatchObject({
        status: STATUS.invalidInput,
        message: expect.stringMatching(/^tensor 'x' has 1 bytes, expected/),
      });
      expect(opened.handler.admitted).toEqual([]);
      ask(2, 16);
      if (['UINT64', 'INT64', 'FP64', 'BYTES'].includes(datatype))
        await vi.waitFor(() => expect(opened.handler.admitted).toHaveLength(1), WAIT);
      else await opened.peer.heard(FRAME.failure, 2);
    },
  );

  it('refuses tensors of more than a gibibyte in all', async () => {
    const opened = await open();
    const half = { name: 'x', datatype: 'UINT8', shape: [2 ** 29], byteLength: 2 ** 29 } as const;
    opened.request(1, 0, 0, { inputs: [half, half, { ...half, shape: [1], byteLength: 1 }] });
    const { failure } = decodeFailure((await opened.peer.heard(FRAME.failure, 1)).payload);
    expect(failure).toMatchObject({
      status: STATUS.limit,
      message: 'tensors have 1073741825 bytes, expected at most 1073741824',
    });
    expect(opened.handler.admitted).toEqual([]);
    const budget = new BodyBudget(1);
    const patient = await open({ budget });
    patient.request(1, 0, 0, { inputs: [half, half] });
    expect(decodeCredit((await patient.peer.heard(FRAME.credit, 1)).payload)).toBe(
      2 ** 30 - 65_536,
    );
  });

  it('fails a BYTES input whose elements do not add up, and keeps the stream', async () => {
    const opened = await open();
    const inputs = [{ name: 'x', datatype: 'BYTES', shape: [2], byteLength: 8 }] as const;
    const header = encodeRequest({ ...requestOf(0), responseCredit: 0, inputs });
    opened.peer.frame(FRAME.request, 1, header, hex('05000000 00000000'));
    const { failure } = decodeFailure((await opened.peer.heard(FRAME.failure, 1)).payload);
    expect(failure).toMatchObject({ status: STATUS.invalidInput });
    opened.request(2, 1, 1);
    await opened.handler.executing();
  });

  it.each([
    [
      'in line with its deadline',
      { deadlineMs: 30 },
      {},
      /0 of 100000 bytes of the body came within 30 ms/,
    ],
    [
      'when nothing of it comes',
      {},
      { bodyTimeoutMs: 30 },
      /0 of 100000 bytes of the body came, then none for 30 ms/,
    ],
  ])('gives up a body that never comes, %s', async (_, header, init, message) => {
    const budget = new BodyBudget();
    const opened = await open({ budget, ...init });
    opened.request(1, LARGE_BYTES, 0, header);
    const { failure } = decodeFailure((await opened.peer.heard(FRAME.failure, 1)).payload);
    expect(failure.status).toBe(STATUS.deadline);
    expect(failure.message).toMatch(message);
    expect(budget.usedBytes).toBe(0);
    // What is on its way still is ignored.
    opened.peer.frame(FRAME.data, 1, new Uint8Array(LARGE_BYTES));
    opened.peer.frame(FRAME.ping, 0);
    await opened.peer.heard(FRAME.pong);
    expect(opened.handler.executions).toEqual([]);
  });

  it('gives up a body that stops, and one that only drips past its deadline', async () => {
    const stopping = await open({ bodyTimeoutMs: 30 });
    stopping.request(1, LARGE_BYTES);
    await stopping.peer.heard(FRAME.credit, 1);
    stopping.peer.frame(FRAME.data, 1, new Uint8Array(5));
    expect(
      decodeFailure((await stopping.peer.heard(FRAME.failure, 1)).payload).failure.message,
    ).toMatch(/^[05] of 100000 bytes of the body came, then none for 30 ms/);
    const dripping = await open({ bodyTimeoutMs: 60_000 });
    dripping.request(1, LARGE_BYTES, 0, { deadlineMs: 60 });
    await dripping.peer.heard(FRAME.credit, 1);
    await vi.waitFor(() => {
      dripping.peer.frame(FRAME.data, 1, Uint8Array.of(1));
      expect(dripping.peer.frames.map(({ type }) => type)).toContain(FRAME.failure);
    }, WAIT);
    const { failure } = decodeFailure((await dripping.peer.heard(FRAME.failure, 1)).payload);
    expect(failure.message).toMatch(/bytes of the body came within 60 ms/);
  });

  it('sends as much of an answer as it was granted', async () => {
    const opened = await open();
    opened.request(1, 1, 1, { responseCredit: 70_000 });
    const tensor = new Tensor('UINT8', [200_000], new Uint8Array(200_000).fill(7));
    (await opened.handler.executing()).answer(resultOf([{ name: 'y', tensor }]));
    const { header, inlineBody } = decodeResponse(
      (await opened.peer.heard(FRAME.response, 1)).payload,
    );
    expect(header).toMatchObject({ load: LOAD, outputs: [{ name: 'y', byteLength: 200_000 }] });
    expect(inlineBody).toHaveLength(0);
    const sentBytes = () =>
      opened.peer.frames.reduce(
        (sum, { type, payload }) => sum + (type === FRAME.data ? payload.byteLength : 0),
        0,
      );
    await vi.waitFor(() => expect(sentBytes()).toBe(70_000), WAIT);
    opened.peer.frame(FRAME.ping, 0);
    await opened.peer.heard(FRAME.pong);
    expect(sentBytes()).toBe(70_000);
    opened.peer.frame(FRAME.credit, 1, encodeCredit(130_000));
    await vi.waitFor(() => expect(sentBytes()).toBe(200_000), WAIT);
    // Credit for what is closed, and for what never was.
    for (const id of [1, 99]) opened.peer.frame(FRAME.credit, id, encodeCredit(1));
    opened.request(1, 1, 1);
    (await opened.handler.executing(1)).echo();
  });
});

describe('handleInference, given a body that comes little by little, over real sockets', () => {
  const BODY_BYTES = 4 * 1024 * 1024;

  async function trickle(budget: BodyBudget) {
    const handler = new HeldHandler({ echoes: true });
    const connect = (caller: string) =>
      createLibp2pPair((inbound) => void handleInference(inbound, caller, handler, { budget }));
    const [slow, quick] = [await connect('slow'), await connect('quick')];
    const peer = new RawPeer(slow.outbound);
    const input = {
      name: 'x',
      datatype: 'UINT8',
      shape: [BODY_BYTES],
      byteLength: BODY_BYTES,
    } as const;
    const header = { ...requestOf(0), deadlineMs: 3_600_000, responseCredit: 0, inputs: [input] };
    peer.frame(FRAME.request, 1, encodeRequest(header));
    await peer.heard(FRAME.credit, 1);
    const drip = setInterval(() => peer.frame(FRAME.data, 1, Uint8Array.of(1)), 20);
    return {
      peer,
      connection: new InferenceConnection(quick.outbound),
      async [Symbol.asyncDispose]() {
        clearInterval(drip);
        await Promise.all([slow, quick].map((pair) => pair[Symbol.asyncDispose]()));
      },
    };
  }

  it('answers those who wait for its room, and refuses it with ERR_BUSY', async () => {
    const budget = new BodyBudget(BODY_BYTES, { windowMs: 100 });
    await using opened = await trickle(budget);
    const { outputs } = await opened.connection.infer(requestOf(100_000));
    expect(outputs[0]?.tensor.size).toBe(100_000);
    const { failure } = decodeFailure((await opened.peer.heard(FRAME.failure, 1)).payload);
    expect(failure).toMatchObject({ status: STATUS.busy, afterMs: 5_000 });
    expect(failure.message).toMatch(
      /^body came at \d+ bytes a second while others waited for its room, expected at least 69906$/,
    );
    expect(budget.usedBytes).toBe(0);
  });

  it('lets it be while others find room', async () => {
    const budget = new BodyBudget(2 * BODY_BYTES, { windowMs: 50 });
    await using opened = await trickle(budget);
    for (let round = 0; round < 20; round += 1) {
      await opened.connection.infer(requestOf(100_000));
    }
    expect(opened.peer.frames.map(({ type }) => type)).not.toContain(FRAME.failure);
    expect(budget.usedBytes).toBe(BODY_BYTES);
  });
});
