import * as fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import {
  BusyError,
  ExecutionError,
  ForbiddenError,
  InvalidInputError,
  LoadingError,
  NotFoundError,
} from '../../../../protocols/errors.ts';
import { BodyBudget } from '../../../../protocols/inference/index.ts';
import { MAX_DATA_CHUNK_BYTES } from '../../../../protocols/limits.ts';
import { Tensor } from '../../../../protocols/tensor.ts';
import {
  closeInference,
  HeldHandler,
  LOAD,
  openInference,
  requestOf,
  resultOf,
  VERSION,
  WAIT,
} from '../../../support/inference-peers.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

describe('InferenceConnection and handleInference', () => {
  it('carry a request with all its fields, and its answer', async () => {
    const handler = new HeldHandler();
    const opened = await openInference(handler);
    const inputs = [
      { name: 'image', tensor: Tensor.from('FP32', [1, 2], [0.5, -1]) },
      { name: 'ids', tensor: Tensor.from('INT64', [2], [2n ** 62n, -1n]) },
      { name: 'words', tensor: Tensor.from('BYTES', [2], ['é', '']) },
      { name: 'none', tensor: Tensor.from('FP64', [0, 3], []) },
      { name: 'scalar', tensor: Tensor.from('FP16', [], [1.5]) },
    ];
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const answered = opened.connection.infer(
      requestOf(0, { deadlineMs: 1234, priority: 9, traceparent, outputs: ['y'], inputs }),
    );
    const execution = await handler.executing();
    expect(handler.admitted).toMatchObject([
      {
        caller: 'caller',
        bodyBytes: 8 + 16 + 10 + 0 + 2,
        header: { version: VERSION, deadlineMs: 1234, priority: 9, traceparent, outputs: ['y'] },
      },
    ]);
    expect(execution.inputs).toEqual(inputs);
    execution.echo();
    const { outputs, ...rest } = await answered;
    expect(outputs).toEqual(inputs);
    expect(outputs.map(({ tensor }) => tensor.toArray())).toEqual([
      [0.5, -1],
      [2n ** 62n, -1n],
      ['é', ''],
      [],
      [1.5],
    ]);
    expect(rest).toEqual({ load: LOAD, queueMs: 0.25, executeMs: 1.5, releaseSequence: 7 });
    await closeInference(opened);
  });

  it('ask and tell how busy a version is without a request', async () => {
    const onLoad = vi.fn();
    const opened = await openInference(new HeldHandler(), { onLoad });
    expect(opened.connection.owedMs).toBe(0);
    await opened.connection.measure(VERSION);
    expect(onLoad).toHaveBeenCalledExactlyOnceWith(VERSION, LOAD);
    await closeInference(opened);
  });

  it('say that an answer begins, and that it goes on', async () => {
    const onOutput = vi.fn();
    const opened = await openInference(new HeldHandler({ echoes: true }));
    await opened.connection.infer(requestOf(1), { onOutput });
    expect(onOutput).toHaveBeenCalledTimes(1);
    await opened.connection.infer(requestOf(MIB), { onOutput });
    // The header of the second, and at least as many pieces as its body has chunks.
    expect(onOutput.mock.calls.length).toBeGreaterThanOrEqual(2 + MIB / MAX_DATA_CHUNK_BYTES);
    await closeInference(opened);
  });

  it('carry what asks for a receipt, and the receipt, beside a body of any size', async () => {
    const handler = new HeldHandler();
    const opened = await openInference(handler);
    const receiptNonce = new Uint8Array(16).fill(7);
    for (const [index, byteLength] of [0, 64, 64 * KIB + 1].entries()) {
      const answered = opened.connection.infer(requestOf(byteLength, { receiptNonce }));
      const { header, inputs, answer } = await handler.executing(2 * index);
      expect(header.receiptNonce).toEqual(receiptNonce);
      answer({ ...resultOf(inputs), receipt: Uint8Array.of(1, 2, 3) });
      expect(await answered).toMatchObject({ outputs: inputs, receipt: Uint8Array.of(1, 2, 3) });
      const without = opened.connection.infer(requestOf(byteLength));
      const plain = await handler.executing(2 * index + 1);
      expect(plain.header.receiptNonce).toBeUndefined();
      plain.echo();
      expect((await without).receipt).toBeUndefined();
    }
    await closeInference(opened);
  });

  it('answer many requests at once, in the order they are done', async () => {
    const handler = new HeldHandler();
    const opened = await openInference(handler);
    const settled: number[] = [];
    const answers = Array.from({ length: 100 }, async (_, index) => {
      const { outputs } = await opened.connection.infer(requestOf(index));
      settled.push(index);
      return outputs[0]?.tensor.bytes.byteLength;
    });
    await handler.executing(99);
    expect(opened.connection.inFlight).toBe(100);
    for (const execution of handler.executions.toReversed()) execution.echo();
    expect(await Promise.all(answers)).toEqual(Array.from({ length: 100 }, (_, index) => index));
    expect(settled).toEqual(Array.from({ length: 100 }, (_, index) => 99 - index));
    await closeInference(opened);
  });

  it.each([
    ['nothing', 0],
    ['the largest body beside a header', 64 * KIB],
    ['the smallest body that waits for credit', 64 * KIB + 1],
    ['five MiB', 5 * MIB],
  ])('carry %s both ways', async (_, byteLength) => {
    const opened = await openInference(new HeldHandler({ echoes: true }));
    const request = requestOf(byteLength);
    const { outputs } = await opened.connection.infer(request);
    expect(outputs[0]?.tensor.shape).toEqual([byteLength]);
    expect(
      Buffer.compare(
        outputs[0]?.tensor.bytes ?? Buffer.of(0),
        request.inputs[0]?.tensor.bytes ?? Buffer.of(1),
      ),
    ).toBe(0);
    await closeInference(opened);
  });

  it('carry bodies whose tensors end anywhere', async () => {
    const opened = await openInference(new HeldHandler({ echoes: true }));
    const sizes = fc.array(fc.integer({ min: 0, max: 90_000 }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(sizes, async (lengths) => {
        const inputs = lengths.map((length, index) => ({
          name: `x${index}`,
          tensor: new Tensor('UINT8', [length], new Uint8Array(length).fill(index + 1)),
        }));
        const { outputs } = await opened.connection.infer(requestOf(0, { inputs }));
        expect(outputs.map(({ name, tensor }) => [name, tensor.bytes.byteLength])).toEqual(
          lengths.map((length, index) => [`x${index}`, length]),
        );
        for (const [index, { tensor }] of outputs.entries()) {
          expect(tensor.bytes.every((byte) => byte === index + 1)).toBe(true);
        }
      }),
      { numRuns: 20 },
    );
    await closeInference(opened);
  });

  it.each([
    new BusyError('queue is full', 250),
    new LoadingError('still loading', 3_000),
    new LoadingError('still loading', null),
    new NotFoundError('not held here'),
    new ForbiddenError('not for you'),
    new InvalidInputError("input 'x' has shape [1], expected [2]"),
  ])('pass a refusal on: $code $details', async (refusal) => {
    const handler = new HeldHandler();
    handler.refusal = refusal;
    const opened = await openInference(handler);
    for (const byteLength of [1, MIB]) {
      const { code, message } = refusal;
      await expect(opened.connection.infer(requestOf(byteLength))).rejects.toMatchObject({
        code,
        message,
        details: { ...refusal.details, load: LOAD, remote: true },
      });
    }
    expect(handler.executions).toEqual([]);
    await closeInference(opened);
  });

  it('pass a failure of the model on, and what is no error of ours as a bare one', async () => {
    const handler = new HeldHandler();
    const opened = await openInference(handler);
    const failed = opened.connection.infer(requestOf(1));
    (await handler.executing(0)).fail(new ExecutionError('the model ran too long'));
    await expect(failed).rejects.toMatchObject({
      code: 'ERR_EXECUTION',
      message: 'the model ran too long',
      details: { load: LOAD },
    });
    const crashed = opened.connection.infer(requestOf(1));
    (await handler.executing(1)).fail(new TypeError('/secret/path is undefined'));
    await expect(crashed).rejects.toMatchObject({
      code: 'ERR_INTERNAL',
      message: 'internal error',
    });
    await closeInference(opened);
  });

  it('tell a caller who did not cancel that the node gave up', async () => {
    const handler = new HeldHandler();
    const opened = await openInference(handler);
    const answered = opened.connection.infer(requestOf(1));
    (await handler.executing()).fail(new DOMException('stopping', 'AbortError'));
    await expect(answered).rejects.toMatchObject({
      code: 'ERR_CONNECTION',
      message: 'node gave the request up',
    });
    await closeInference(opened);
  });

  it('fail one request whose outputs cannot be described, and go on', async () => {
    const handler = new HeldHandler();
    const opened = await openInference(handler);
    const answered = opened.connection.infer(requestOf(1));
    const tensor = new Tensor('UINT8', [0], new Uint8Array());
    (await handler.executing()).answer(resultOf([{ name: 'y'.repeat(65_537), tensor }]));
    await expect(answered).rejects.toMatchObject({ code: 'ERR_LIMIT' });
    const many = opened.connection.infer(requestOf(1));
    const names = Array.from({ length: 5 }, () => ({ name: 'y'.repeat(60_000), tensor }));
    (await handler.executing(1)).answer(resultOf(names));
    await expect(many).rejects.toThrow(/names and shapes of the outputs take 300\d\d\d bytes/);
    const next = opened.connection.infer(requestOf(1));
    (await handler.executing(2)).echo();
    await next;
    await closeInference(opened);
  });

  it('refuse a request that a node would not read before any of it is sent', async () => {
    const handler = new HeldHandler({ echoes: true });
    const opened = await openInference(handler);
    const inputs = requestOf(1).inputs;
    await expect(
      opened.connection.infer(requestOf(1, { outputs: Array.from({ length: 1025 }, () => 'y') })),
    ).rejects.toMatchObject({ code: 'ERR_LIMIT' });
    await expect(
      opened.connection.infer(
        requestOf(1, { outputs: Array.from({ length: 5 }, () => 'y'.repeat(60_000)) }),
      ),
    ).rejects.toThrow(/names and shapes of the request take 300\d\d\d bytes/);
    await expect(
      opened.connection.infer({
        ...requestOf(1),
        inputs: [{ ...inputs[0], name: 'x'.repeat(65_537) } as never],
      }),
    ).rejects.toMatchObject({ code: 'ERR_LIMIT' });
    await opened.connection.infer(requestOf(1));
    expect(handler.admitted).toHaveLength(1);
    await closeInference(opened);
  });

  it('have at most 1024 requests open', async () => {
    const handler = new HeldHandler();
    const opened = await openInference(handler);
    const answers = Array.from({ length: 1024 }, () => opened.connection.infer(requestOf(1)));
    await expect(opened.connection.infer(requestOf(1))).rejects.toMatchObject({ code: 'ERR_BUSY' });
    await handler.executing(1023);
    for (const execution of handler.executions) execution.echo();
    await Promise.all(answers);
    expect(opened.protocolErrors).toEqual([]);
    await closeInference(opened);
  });
});

describe('InferenceConnection and handleInference, with a budget of bodies', () => {
  it('let a second large body wait until the first is executed', async () => {
    const handler = new HeldHandler();
    const budget = new BodyBudget(MIB);
    const opened = await openInference(handler, { budget });
    const first = opened.connection.infer(requestOf(700 * KIB));
    const second = opened.connection.infer(requestOf(600 * KIB));
    const small = opened.connection.infer(requestOf(64 * KIB));
    const [held, passed] = [await handler.executing(0), await handler.executing(1)];
    expect([held, passed].map(({ inputs }) => inputs[0]?.tensor.size)).toContain(64 * KIB);
    expect(handler.admitted).toHaveLength(3);
    expect(budget.usedBytes).toBe(700 * KIB);
    for (const execution of [held, passed]) execution.echo();
    await Promise.all([first, small]);
    (await handler.executing(2)).echo();
    expect((await second).outputs[0]?.tensor.size).toBe(600 * KIB);
    expect(budget.usedBytes).toBe(0);
    await closeInference(opened);
  });

  it('give room back when a body is cancelled, in line or on its way', async () => {
    const handler = new HeldHandler();
    const budget = new BodyBudget(MIB);
    const opened = await openInference(handler, { budget });
    const [first, second] = [new AbortController(), new AbortController()];
    const settled = Promise.allSettled([
      opened.connection.infer(requestOf(700 * KIB), { signal: first.signal }),
      opened.connection.infer(requestOf(800 * KIB), { signal: second.signal }),
    ]);
    const third = opened.connection.infer(requestOf(900 * KIB));
    await handler.executing(0);
    second.abort();
    first.abort();
    (await handler.executing(1)).echo();
    expect((await third).outputs[0]?.tensor.size).toBe(900 * KIB);
    expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(handler.executions).toHaveLength(2);
    expect(budget.usedBytes).toBe(0);
    await closeInference(opened);
  });

  it('give room back when the stream ends', async () => {
    const handler = new HeldHandler();
    const budget = new BodyBudget(MIB);
    const opened = await openInference(handler, { budget });
    const settled = Promise.allSettled(
      [700, 800].map((size) => opened.connection.infer(requestOf(size * KIB))),
    );
    const { signal } = await handler.executing();
    await vi.waitFor(() => expect(handler.admitted).toHaveLength(2), WAIT);
    await opened.connection.close();
    await opened.served;
    expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(signal.aborted).toBe(true);
    expect(budget.usedBytes).toBe(0);
  });

  it('fail a body for which there is no room before its deadline, and no sooner', async () => {
    const handler = new HeldHandler();
    const budget = new BodyBudget(MIB);
    const opened = await openInference(handler, { budget, bodyTimeoutMs: 1 });
    const giveBack = budget.reserve(MIB, () => {});
    // One with little time fails while the other, which has been in line for longer than bodyTimeoutMs, gets its turn.
    const patient = opened.connection.infer(requestOf(64 * KIB + 1));
    await expect(
      opened.connection.infer(requestOf(64 * KIB + 1, { deadlineMs: 40 })),
    ).rejects.toMatchObject({
      code: 'ERR_DEADLINE',
      message: 'no room for the body within 40 ms',
      details: { phase: 'queue' },
    });
    giveBack();
    // Its body has 1 ms between two pieces, so that a busy machine may refuse it yet, but only for that.
    const late = patient.then(
      () => '',
      ({ message }: Error) => message,
    );
    await Promise.race([late, handler.executing().then(({ echo }) => echo())]);
    expect(await late).toMatch(/^$|bytes of the body came, then none for 1 ms/);
    expect(budget.usedBytes).toBe(0);
    await closeInference(opened);
  });
});
