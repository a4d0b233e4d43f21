import { describe, expect, it, vi } from 'vitest';
import {
  decodePing,
  decodePong,
  encodePing,
  encodePong,
  Pings,
} from '../../../../protocols/inference/pings.ts';
import type { LoadReport, VersionCid } from '../../../../protocols/types.ts';
import { hex } from '../../../support/hex.ts';
import { LOAD, VERSION } from '../../../support/inference-peers.ts';

function open() {
  const send = vi.fn<(payload: Uint8Array) => void>();
  const onRoundTrip = vi.fn<(ms: number) => void>();
  const onLoad = vi.fn<(version: VersionCid, load: LoadReport) => void>();
  return { send, onRoundTrip, onLoad, pings: new Pings({ send, onRoundTrip, onLoad }) };
}

describe('Ping and pong', () => {
  it('carry a version and its load, or nothing', () => {
    expect(decodePing(encodePing(VERSION))).toBe(VERSION);
    expect(decodePong(encodePong(LOAD))).toEqual(LOAD);
    expect(decodePing(encodePing(undefined))).toBeUndefined();
    expect(decodePong(encodePong(undefined))).toBeUndefined();
    expect(Uint8Array.from(encodePong(LOAD))).toEqual(hex('010204dd0b'));
  });

  it.each([
    ['a ping whose version is cut off', () => decodePing(hex('05 61'))],
    ['a ping with a version of 129 bytes', () => decodePing(hex(`8101${'61'.repeat(129)}`))],
    ['a pong that ends before the service time', () => decodePong(hex('010204'))],
  ])('are refused: %s', (_, decode) => {
    expect(decode).toThrow(expect.objectContaining({ code: 'ERR_INVALID_MESSAGE' }));
  });
});

describe('Pings', () => {
  it('tells what a pong says to whom asked, and resolves then', async () => {
    const { pings, send, onLoad, onRoundTrip } = open();
    const asked = pings.ask(VERSION);
    expect(send).toHaveBeenCalledExactlyOnceWith(encodePing(VERSION));
    expect(pings.owedSinceMs).toBeTypeOf('number');
    pings.ponged(encodePong(LOAD));
    await asked;
    expect(onLoad).toHaveBeenCalledExactlyOnceWith(VERSION, LOAD);
    expect(onRoundTrip).toHaveBeenCalledTimes(1);
    expect(pings.owedSinceMs).toBeUndefined();
  });

  it('joins a question that is under way, and asks another one beside it', async () => {
    const { pings, send } = open();
    const other = `${VERSION.slice(0, -1)}q` as VersionCid;
    const asked = [pings.ask(VERSION), pings.ask(VERSION), pings.ask(undefined), pings.ask(other)];
    expect(send).toHaveBeenCalledTimes(2);
    pings.ponged(encodePong(LOAD));
    pings.ponged(encodePong(LOAD));
    await Promise.all(asked);
  });

  it('takes the pong of a node that knows no loads for a round trip alone', async () => {
    const { pings, onLoad, onRoundTrip } = open();
    const asked = pings.ask(VERSION);
    pings.ponged(new Uint8Array());
    await asked;
    expect(onRoundTrip).toHaveBeenCalledTimes(1);
    expect(onLoad).not.toHaveBeenCalled();
  });

  it('has 16 pings open at most and lets nobody wait for what was not sent', async () => {
    const { pings, send } = open();
    for (let sent = 0; sent < 20; sent += 1) pings.ping();
    await pings.ask(VERSION);
    expect(send).toHaveBeenCalledTimes(16);
  });

  it('lets nobody wait once the stream has ended', async () => {
    const { pings, send } = open();
    const asked = pings.ask(VERSION);
    pings.end();
    await asked;
    await pings.ask(VERSION);
    expect(send).toHaveBeenCalledTimes(1);
  });

  it('takes a pong that nobody asked for for nothing', () => {
    const { pings, onRoundTrip } = open();
    pings.ponged(new Uint8Array());
    expect(onRoundTrip).not.toHaveBeenCalled();
  });
});
