import * as dagCbor from '@ipld/dag-cbor';
import { streamPair } from '@libp2p/utils';
import { describe, expect, it, vi } from 'vitest';
import { MessageExchange } from '../../../../protocols/codec/message-exchange.ts';
import { hex, toHex } from '../../../support/hex.ts';
import { WAIT } from '../../../support/inference-peers.ts';
import { RawPeer } from '../../../support/raw-peer.ts';

async function open(maxMessageBytes = 1024) {
  const [outbound, inbound] = await streamPair();
  const exchange = new MessageExchange(inbound, { maxMessageBytes });
  return {
    exchange,
    peer: new RawPeer(outbound, { framed: false }),
    signal: AbortSignal.timeout(5_000),
  };
}

/** dag-cbor bytes of so many bytes in all, 259 at least: a byte string of what is left. */
function messageOf(byteLength: number): Uint8Array {
  const bytes = dagCbor.encode(new Uint8Array(byteLength - 3));
  expect(bytes.byteLength).toBe(byteLength);
  return bytes;
}

const BROKEN = expect.objectContaining({ code: 'ERR_INVALID_MESSAGE' });
const ENDED = expect.objectContaining({
  code: 'ERR_CONNECTION',
  message: expect.stringContaining('ended before the message was complete'),
});

describe('MessageExchange', () => {
  it('writes a length and dag-cbor', async () => {
    const { exchange, peer, signal } = await open();
    await exchange.write({ a: 1 }, signal);
    expect(toHex(await peer.bytesHeard(5))).toBe(toHex(hex('04 a1 6161 01')));
  });

  it('reads messages that come together, and one that comes a byte at a time', async () => {
    const { exchange, peer, signal } = await open();
    peer.send(hex('04 a1 6161 01', '01 f6'));
    expect(await exchange.read(signal)).toEqual({ a: 1 });
    expect(await exchange.read(signal)).toBeNull();
    const reading = exchange.read(signal);
    for (const byte of hex('04 a1 6161 02')) peer.send(Uint8Array.of(byte));
    expect(await reading).toEqual({ a: 2 });
  });

  it('reads a message of the bound and refuses one byte more', async () => {
    const { exchange, peer, signal } = await open();
    peer.send(hex('8008'), messageOf(1024));
    expect(await exchange.read(signal)).toHaveLength(1021);
    peer.send(hex('8108'), messageOf(1025));
    await expect(exchange.read(signal)).rejects.toThrow(/longer than its bound/);
  });

  it('refuses a length over the bound before anything follows it', async () => {
    const { exchange, peer, signal } = await open();
    peer.send(hex('ffffff7f'));
    await expect(exchange.read(signal)).rejects.toThrow(BROKEN);
  });

  it('refuses a length that goes on for ever', async () => {
    const { exchange, peer, signal } = await open();
    peer.send(hex('ffffffffff'.repeat(20)));
    await expect(exchange.read(signal)).rejects.toThrow(BROKEN);
  });

  it('takes in no more than about two messages that nobody reads', async () => {
    const { exchange, peer, signal } = await open();
    peer.send(hex('01 f6'), new Uint8Array(3 * 1024));
    await expect(exchange.read(signal)).rejects.toThrow(BROKEN);
    await peer.reset();
  });

  it.each([
    ['nothing at all', '00'],
    ['an array that ends early', '01 81'],
    ['an integer that is not in its shortest form', '02 1800'],
    ['a break', '01 ff'],
  ])('refuses what is not dag-cbor: %s', async (_, bytes) => {
    const { exchange, peer, signal } = await open();
    peer.send(hex(bytes));
    await expect(exchange.read(signal)).rejects.toThrow(/not dag-cbor/);
    exchange.abort(new Error('done'));
    await peer.reset();
  });

  it.each([
    ['before a message', ''],
    ['inside a length', '80'],
    ['inside a message', '04 a1 61'],
  ])('reports an end %s', async (_, bytes) => {
    const { exchange, peer, signal } = await open();
    if (bytes !== '') peer.send(hex(bytes));
    const reading = exchange.read(signal);
    await peer.stream.close();
    await expect(reading).rejects.toThrow(ENDED);
  });

  it('reports a reset, also one that came before it was asked', async () => {
    const { exchange, peer, signal } = await open();
    const reading = exchange.read(signal);
    peer.stream.abort(new Error('gone'));
    await expect(reading).rejects.toThrow(ENDED);
    await expect(exchange.read(signal)).rejects.toThrow(ENDED);
    await expect(exchange.write({}, signal)).rejects.toThrow(ENDED);
  });

  it('rejects with the reason of the signal', async () => {
    const { exchange } = await open();
    const giveUp = new AbortController();
    const reading = exchange.read(giveUp.signal);
    giveUp.abort(new Error('late'));
    await expect(reading).rejects.toThrow('late');
  });

  it('does not take a message that cannot be written for a broken stream', async () => {
    const { exchange, peer, signal } = await open();
    await expect(exchange.write({ a: undefined }, signal)).rejects.toThrow(/undefined/);
    await exchange.write({ a: null }, signal);
    expect(toHex(await peer.bytesHeard(5))).toBe(toHex(hex('04 a1 6161 f6')));
  });

  it('ends its side and leaves the other open', async () => {
    const { exchange, peer, signal } = await open();
    await exchange.close(signal);
    await vi.waitFor(() => expect(peer.stream.remoteWriteStatus).toBe('closed'), WAIT);
    peer.send(hex('01 f6'));
    expect(await exchange.read(signal)).toBeNull();
  });
});
