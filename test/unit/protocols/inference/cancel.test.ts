import { getEventListeners } from 'node:events';
import { streamPair } from '@libp2p/utils';
import { describe, expect, it, vi } from 'vitest';
import { FRAME } from '../../../../protocols/inference/frame-type.ts';
import { BodyBudget, InferenceConnection } from '../../../../protocols/inference/index.ts';
import { encodeCredit, encodeRequest } from '../../../../protocols/inference/message.ts';
import { Tensor } from '../../../../protocols/tensor.ts';
import { hex } from '../../../support/hex.ts';
import {
  closeInference,
  HeldHandler,
  openInference,
  requestOf,
  resultOf,
  serve,
  WAIT,
} from '../../../support/inference-peers.ts';
import { RawPeer } from '../../../support/raw-peer.ts';

const MIB = 1024 * 1024;

function dataBytes(peer: RawPeer): number {
  const data = peer.frames.filter(({ type }) => type === FRAME.data);
  return data.reduce((sum, { payload }) => sum + payload.byteLength, 0);
}

/** Bytes of data that come between the first and the last of some round trips. */
async function dataAfter(peer: RawPeer, roundTrip: () => Promise<void>): Promise<number> {
  await roundTrip();
  const before = dataBytes(peer);
  for (let round = 0; round < 10; round += 1) await roundTrip();
  return dataBytes(peer) - before;
}

function ping(peer: RawPeer): () => Promise<void> {
  let pongs = 0;
  return async () => {
    peer.frame(FRAME.ping, 0);
    pongs += 1;
    await vi.waitFor(() => {
      expect(peer.frames.filter(({ type }) => type === FRAME.pong)).toHaveLength(pongs);
    }, WAIT);
  };
}

describe('InferenceConnection, cancelling', () => {
  it('sends nothing for a call that was given up before', async () => {
    const [outbound, inbound] = await streamPair();
    const peer = new RawPeer(inbound);
    const connection = new InferenceConnection(outbound);
    const reason = new Error('changed my mind');
    await expect(
      connection.infer(requestOf(1), { signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason);
    const waiting = connection.infer(requestOf(1));
    expect((await peer.heard(FRAME.request)).id).toBe(1);
    expect(peer.frames).toHaveLength(1);
    await connection.close();
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_CONNECTION' });
  });

  it('takes a request back whose body waits for credit', async () => {
    const [outbound, inbound] = await streamPair();
    const peer = new RawPeer(inbound);
    const connection = new InferenceConnection(outbound);
    const cancelled = new AbortController();
    const answered = connection.infer(requestOf(MIB), { signal: cancelled.signal });
    const { id } = await peer.heard(FRAME.request);
    const reason = new Error('changed my mind');
    cancelled.abort(reason);
    await expect(answered).rejects.toBe(reason);
    expect(connection.inFlight).toBe(0);
    await peer.heard(FRAME.cancel, id);
    // Credit that crossed the cancel moves nothing any more.
    peer.frame(FRAME.credit, id, Uint8Array.of(0x80, 0x80, 0x40));
    const next = connection.infer(requestOf(1));
    expect((await peer.heard(FRAME.request, id + 1)).id).toBe(id + 1);
    const sent = peer.frames.filter(({ type }) => type === FRAME.data);
    expect(sent.map(({ payload }) => payload.byteLength)).toEqual([65_536]);
    await connection.close();
    await expect(next).rejects.toMatchObject({ code: 'ERR_CONNECTION' });
  });

  it('stops sending a body that has all its credit', async () => {
    const [outbound, inbound] = await streamPair();
    const node = new RawPeer(inbound);
    const connection = new InferenceConnection(outbound);
    const cancelled = new AbortController();
    const answered = connection.infer(requestOf(64 * MIB), { signal: cancelled.signal });
    await node.heard(FRAME.request, 1);
    node.frame(FRAME.credit, 1, encodeCredit(64 * MIB));
    await node.heard(FRAME.data, 1);
    cancelled.abort();
    await expect(answered).rejects.toMatchObject({ name: 'AbortError' });
    let asked = 1;
    const roundTrip = async (): Promise<void> => {
      const next = connection.infer(requestOf(1));
      asked += 1;
      await node.heard(FRAME.request, asked);
      node.frame(FRAME.failure, asked, hex('08 00 00 00000100 00'));
      await expect(next).rejects.toMatchObject({ code: 'ERR_BUSY' });
    };
    expect(await dataAfter(node, roundTrip)).toBe(0);
    expect(dataBytes(node)).toBeLessThan(64 * MIB);
    await connection.close();
  });

  it('leaves no listener on a signal, however the call ends', async () => {
    const handler = new HeldHandler();
    const opened = await openInference(handler);
    const { signal } = new AbortController();
    const [answered, failed] = [
      opened.connection.infer(requestOf(1), { signal }),
      opened.connection.infer(requestOf(1), { signal }),
    ];
    (await handler.executing(0)).echo();
    (await handler.executing(1)).fail(new Error('no'));
    await answered;
    await expect(failed).rejects.toMatchObject({ code: 'ERR_INTERNAL' });
    const outputs = Array.from({ length: 1025 }, () => 'y');
    await expect(opened.connection.infer(requestOf(1, { outputs }), { signal })).rejects.toThrow(
      '1025 tensors',
    );
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    await closeInference(opened);
  });

  it('ignores an answer that crossed the cancel', async () => {
    const [outbound, inbound] = await streamPair();
    const peer = new RawPeer(inbound);
    const connection = new InferenceConnection(outbound);
    const cancelled = new AbortController();
    const answered = connection.infer(requestOf(1), { signal: cancelled.signal });
    const { id } = await peer.heard(FRAME.request);
    cancelled.abort();
    await expect(answered).rejects.toMatchObject({ name: 'AbortError' });
    peer.frame(FRAME.response, id, Uint8Array.of(0, 0, 1, 0, 0, 0, 0, 0, 0));
    peer.frame(FRAME.data, id, Uint8Array.of(1));
    peer.frame(FRAME.failure, id, Uint8Array.of(1));
    const next = connection.infer(requestOf(1));
    await peer.heard(FRAME.request, id + 1);
    peer.frame(FRAME.response, id + 1, Uint8Array.of(0, 0, 1, 0, 0, 0, 0, 0, 0));
    expect((await next).outputs).toEqual([]);
    await connection.close();
  });
});

describe('handleInference, when a request is cancelled', () => {
  it('aborts the signal of its execution and answers nothing', async () => {
    const handler = new HeldHandler();
    const opened = await openInference(handler);
    const cancelled = new AbortController();
    const answered = opened.connection.infer(requestOf(1), { signal: cancelled.signal });
    const execution = await handler.executing();
    expect(execution.signal.aborted).toBe(false);
    cancelled.abort();
    await expect(answered).rejects.toMatchObject({ name: 'AbortError' });
    await vi.waitFor(() => expect(execution.signal.aborted).toBe(true), WAIT);
    expect(execution.signal.reason).toMatchObject({ name: 'AbortError' });
    // Whatever comes of it goes to nobody.
    execution.echo();
    const next = opened.connection.infer(requestOf(2));
    (await handler.executing(1)).echo();
    expect((await next).outputs[0]?.tensor.size).toBe(2);
    await closeInference(opened);
  });

  it('takes it out while its body is on its way', async () => {
    const handler = new HeldHandler();
    const budget = new BodyBudget(64 * MIB);
    const [outbound, inbound] = await streamPair();
    const peer = new RawPeer(outbound);
    const { served, protocolErrors } = serve(inbound, handler, { budget });
    const inputs = [{ name: 'x', datatype: 'UINT8', shape: [MIB], byteLength: MIB }] as const;
    peer.frame(FRAME.request, 5, encodeRequest({ ...requestOf(0), responseCredit: 0, inputs }));
    await peer.heard(FRAME.credit, 5);
    peer.frame(FRAME.data, 5, new Uint8Array(65_536));
    expect(budget.usedBytes).toBe(MIB);
    peer.frame(FRAME.cancel, 5);
    // What crossed it, and a cancel for nothing.
    peer.frame(FRAME.data, 5, new Uint8Array(65_536));
    peer.frame(FRAME.cancel, 6);
    peer.frame(FRAME.ping, 0);
    await peer.heard(FRAME.pong);
    expect(budget.usedBytes).toBe(0);
    expect(handler.executions).toEqual([]);
    await outbound.close();
    await served;
    expect(protocolErrors).toEqual([]);
  });

  it('stops sending its answer', async () => {
    const handler = new HeldHandler();
    const [outbound, inbound] = await streamPair();
    const peer = new RawPeer(outbound);
    const { served } = serve(inbound, handler);
    const header = encodeRequest({ ...requestOf(0), responseCredit: 1024 * MIB, inputs: [] });
    peer.frame(FRAME.request, 1, header);
    const bytes = new Uint8Array(64 * MIB);
    (await handler.executing()).answer(
      resultOf([{ name: 'y', tensor: new Tensor('UINT8', [bytes.byteLength], bytes) }]),
    );
    await peer.heard(FRAME.data, 1);
    peer.frame(FRAME.cancel, 1);
    expect(await dataAfter(peer, ping(peer))).toBe(0);
    expect(dataBytes(peer)).toBeLessThan(bytes.byteLength);
    await outbound.close();
    await served;
  });

  it('cancels everything when the caller ends the stream', async () => {
    const handler = new HeldHandler();
    const opened = await openInference(handler);
    const settled = Promise.allSettled(
      [1, 2, 3].map((size) => opened.connection.infer(requestOf(size))),
    );
    await handler.executing(2);
    await opened.connection.close();
    await opened.served;
    expect(handler.executions.map(({ signal }) => signal.aborted)).toEqual([true, true, true]);
    expect(opened.protocolErrors).toEqual([]);
    for (const result of await settled) {
      expect(result).toMatchObject({ reason: { code: 'ERR_CONNECTION' } });
    }
    await expect(opened.connection.infer(requestOf(1))).rejects.toMatchObject({
      code: 'ERR_CONNECTION',
    });
  });
});
