import { streamPair } from '@libp2p/utils';
import { describe, expect, it, vi } from 'vitest';
import type { CallerAccount } from '../../../../protocols/inference/caller-accounts.ts';
import { FRAME } from '../../../../protocols/inference/frame-type.ts';
import { BodyBudget, CallerAccounts } from '../../../../protocols/inference/index.ts';
import { decodeFailure, encodeRequest } from '../../../../protocols/inference/message.ts';
import {
  MAX_REFUSED_BYTES_PER_SECOND,
  MAX_REQUESTS_PER_CALLER,
  MAX_STREAMS_PER_CALLER,
  MAX_UNASKED_BYTES,
  MAX_UNASKED_BYTES_PER_CALLER,
  MAX_UNTAKEN_BYTES_PER_CALLER,
} from '../../../../protocols/limits.ts';
import { STATUS } from '../../../../protocols/status.ts';
import { Tensor } from '../../../../protocols/tensor.ts';
import { HeldHandler, requestOf, resultOf, serve, WAIT } from '../../../support/inference-peers.ts';
import { RawPeer } from '../../../support/raw-peer.ts';

const busy = (message: RegExp) =>
  expect.objectContaining({ code: 'ERR_BUSY', message: expect.stringMatching(message) });

describe('CallerAccounts', () => {
  it('opens 16 streams of one caller and no more, and forgets a caller whose last is closed', () => {
    const accounts = new CallerAccounts();
    const open = Array.from({ length: MAX_STREAMS_PER_CALLER }, () => accounts.open('a'));
    expect(new Set(open).size).toBe(1);
    expect(() => accounts.open('a')).toThrow(
      expect.objectContaining({
        code: 'ERR_LIMIT',
        message: 'caller has 16 inference streams open, expected at most 16',
      }),
    );
    accounts.open('b');
    for (const account of open) account.closeStream();
    expect(accounts.open('a')).not.toBe(open[0]);
  });

  it('lets a caller have 2048 requests open over all its streams, and one more when one has ended', () => {
    const account = new CallerAccounts().open('a');
    for (let request = 0; request < MAX_REQUESTS_PER_CALLER; request += 1) {
      expect(() => account.check(0)).not.toThrow();
      account.begin(0);
    }
    expect(() => account.check(0)).toThrow(busy(/^caller has 2048 requests open/));
    account.end(0);
    expect(() => account.check(0)).not.toThrow();
  });

  it('takes in unasked up to its bytes of one caller, and not one more, until they are granted or gone', () => {
    const account = new CallerAccounts().open('a');
    account.begin(MAX_UNASKED_BYTES_PER_CALLER - 10);
    expect(() => account.check(10)).not.toThrow();
    expect(() => account.check(11)).toThrow(
      busy(/have 67108865 bytes, expected at most 67108864$/),
    );
    account.granted(MAX_UNASKED_BYTES_PER_CALLER - 10);
    account.end(0);
    expect(() => account.check(MAX_UNASKED_BYTES_PER_CALLER)).not.toThrow();
  });

  it('takes in unasked up to its bytes of all callers together', () => {
    const accounts = new CallerAccounts();
    const callers = MAX_UNASKED_BYTES / MAX_UNASKED_BYTES_PER_CALLER;
    const open: CallerAccount[] = [];
    for (let index = 0; index < callers; index += 1) {
      const account = accounts.open(`caller ${index}`);
      account.begin(MAX_UNASKED_BYTES_PER_CALLER);
      open.push(account);
    }
    expect(accounts.unaskedBytes).toBe(MAX_UNASKED_BYTES);
    const other = accounts.open('other');
    expect(() => other.check(1)).toThrow(busy(/^bodies that came unasked/));
    expect(() => other.check(0)).not.toThrow();
    open[0]?.end(MAX_UNASKED_BYTES_PER_CALLER);
    expect(() => other.check(1)).not.toThrow();
  });

  it('holds answers up to its bytes, a single larger one too, and then refuses whoever takes none', () => {
    const account = new CallerAccounts().open('a');
    account.hold(MAX_UNTAKEN_BYTES_PER_CALLER - 1);
    account.hold(1);
    expect(() => account.hold(1)).toThrow(busy(/^answers that wait .* have 268435457 bytes/));
    expect(() => account.check(0)).not.toThrow();
    account.taken(MAX_UNTAKEN_BYTES_PER_CALLER);
    account.hold(2 * MAX_UNTAKEN_BYTES_PER_CALLER);
    expect(() => account.check(0)).toThrow(busy(/^answers that wait/));
  });
});

describe('CallerAccount, told of what was refused,', () => {
  const SECOND = MAX_REFUSED_BYTES_PER_SECOND;

  it('rests nobody for a second’s worth, for longer the more comes on top, and never for longer than 250 ms', () => {
    const account = new CallerAccounts().open('a');
    expect(account.refused(SECOND, 0)).toBe(0);
    expect(account.refused(SECOND / 128, 0)).toBe(8);
    expect(account.refused(SECOND / 8, 0)).toBe(133);
    expect(account.refused(10 * SECOND, 0)).toBe(250);
  });

  it('forgives as much a second', () => {
    const account = new CallerAccounts().open('a');
    for (let ms = 0; ms < 10_000; ms += 100) expect(account.refused(SECOND / 10, ms)).toBe(0);
    expect(account.refused(1.5 * SECOND, 10_000)).toBeGreaterThan(0);
    expect(account.refused(SECOND, 60_000)).toBe(0);
  });
});

describe('handleInference', () => {
  const input = (byteLength: number) =>
    ({ name: 'x', datatype: 'UINT8', shape: [byteLength], byteLength }) as const;
  const headerOf = (byteLength: number, responseCredit = 0): Uint8Array =>
    encodeRequest({ ...requestOf(0), responseCredit, inputs: [input(byteLength)] });

  async function open(budget = new BodyBudget()) {
    const [outbound, inbound] = await streamPair();
    const accounts = new CallerAccounts();
    const handler = new HeldHandler();
    const served = serve(inbound, handler, { accounts, budget });
    return { peer: new RawPeer(outbound), accounts, handler, ...served };
  }

  it('counts what came unasked from the header until it has room, is answered, or is given up', async () => {
    const budget = new BodyBudget(1);
    const release = budget.reserve(1, () => {});
    const { peer, accounts, handler, served } = await open(budget);
    peer.frame(FRAME.request, 1, headerOf(100_000));
    peer.frame(FRAME.request, 2, headerOf(1_000), new Uint8Array(1_000));
    peer.frame(FRAME.request, 3, headerOf(50));
    await vi.waitFor(() => expect(accounts.unaskedBytes).toBe(65_536 + 1_000 + 50), WAIT);
    (await handler.executing()).echo();
    await vi.waitFor(() => expect(accounts.unaskedBytes).toBe(65_536 + 50), WAIT);
    peer.frame(FRAME.cancel, 3);
    await vi.waitFor(() => expect(accounts.unaskedBytes).toBe(65_536), WAIT);
    release();
    await peer.heard(FRAME.credit, 1);
    expect(accounts.unaskedBytes).toBe(0);
    peer.frame(FRAME.request, 4, headerOf(9), new Uint8Array(9));
    await handler.executing(1);
    expect(accounts.unaskedBytes).toBe(9);
    await peer.stream.close();
    await served;
    expect(accounts.unaskedBytes).toBe(0);
  });

  it('refuses the 1025th waiting body of a caller before it keeps a byte of it, and keeps the stream', async () => {
    const budget = new BodyBudget(1);
    budget.reserve(1, () => {});
    const { peer, handler, protocolErrors, accounts } = await open(budget);
    // Each may send 64 KiB before it has room; of those there are 1024 in 64 MiB, as many as one stream may have open.
    accounts.open('caller').begin(65_536);
    for (let id = 1; id <= 1_024; id += 1) peer.frame(FRAME.request, id, headerOf(100_000));
    const { id, payload } = await peer.heard(FRAME.failure);
    expect(id).toBe(1_024);
    expect(decodeFailure(payload).failure).toMatchObject({ status: STATUS.busy, afterMs: 100 });
    expect(handler.admitted).toHaveLength(1_023);
    expect(protocolErrors).toEqual([]);
  });

  it('fails what would be one answer too many for a caller that takes none', async () => {
    const { peer, accounts, handler } = await open();
    accounts.open('caller').hold(MAX_UNTAKEN_BYTES_PER_CALLER - 99_999);
    peer.frame(FRAME.request, 1, headerOf(1), Uint8Array.of(1));
    const tensor = new Tensor('UINT8', [100_000], new Uint8Array(100_000));
    (await handler.executing()).answer(resultOf([{ name: 'y', tensor }]));
    const { failure } = decodeFailure((await peer.heard(FRAME.failure, 1)).payload);
    expect(failure).toMatchObject({ status: STATUS.busy });
    expect(failure.message).toMatch(/^answers that wait for this caller to take them/);
  });

  it('resets the 17th stream of a caller', async () => {
    const accounts = new CallerAccounts();
    for (let stream = 0; stream < MAX_STREAMS_PER_CALLER; stream += 1) accounts.open('caller');
    const [outbound, inbound] = await streamPair();
    const peer = new RawPeer(outbound);
    const { served, protocolErrors } = serve(inbound, new HeldHandler(), { accounts });
    await served;
    await peer.reset();
    expect(protocolErrors).toMatchObject([{ code: 'ERR_LIMIT' }]);
  });
});
