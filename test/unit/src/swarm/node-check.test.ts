import { generateKeyPair } from '@libp2p/crypto/keys';
import type { Connection } from '@libp2p/interface';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { NodeId } from '../../../../protocols/types.ts';
import { peerIdText } from '../../../../src/swarm/identity.ts';
import type { SwarmLibp2p } from '../../../../src/swarm/libp2p.ts';
import { NodeCheck } from '../../../../src/swarm/node-check.ts';
import type { NodeView } from '../../../../src/swarm/view.ts';

const ADDRESS = '/ip4/127.0.0.1/tcp/1';
const NODE = peerIdText(await generateKeyPair('Ed25519')) as NodeId;

function viewOf(node: NodeId): NodeView {
  return { announcement: { node, addresses: [ADDRESS] } } as unknown as NodeView;
}

/** A connection of which it is told how it ended. */
function connectionTo(node: NodeId, ended: string[], name: string): Connection {
  const connection = {
    ...{ remotePeer: { toString: () => node }, status: 'open' },
    close: async () => void ended.push(`${name} closed`),
    abort: () => void ended.push(`${name} aborted`),
  };
  return connection as unknown as Connection;
}

/** A check of which every dial is answered as a test says; nobody, until it does. */
function createCheck(dial: () => Promise<Connection> = async () => Promise.reject(new Error())) {
  const stopping = new AbortController();
  const dialled = vi.fn(dial);
  const stub = { getConnections: (): Connection[] => [], dial: dialled };
  const check = new NodeCheck(stub as unknown as SwarmLibp2p, 'main', stopping.signal);
  return { check, stub, dialled, stopping };
}

describe('NodeCheck', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('looks at once for a node that another look waits a minute for', async () => {
    const { check, dialled, stopping } = createCheck();
    expect(await check.look(viewOf(NODE))).toBe('gone');
    const patient = check.look(viewOf(NODE), { pauseMs: 60_000 });
    await vi.advanceTimersByTimeAsync(0);
    expect(await check.look(viewOf(NODE))).toBe('gone');
    expect(dialled).toHaveBeenCalledTimes(2);
    stopping.abort();
    expect(await patient).toBe('unknown');
  });

  it('ends the pauses of all that wait for a node with the shortest of them, and looks once', async () => {
    const { check, dialled } = createCheck();
    await check.look(viewOf(NODE));
    const looks = [60_000, 1_000, 2_000].map((pauseMs) => check.look(viewOf(NODE), { pauseMs }));
    await vi.advanceTimersByTimeAsync(999);
    expect(dialled).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await Promise.all(looks)).toEqual(['gone', 'gone', 'gone']);
    expect(dialled).toHaveBeenCalledTimes(2);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(dialled).toHaveBeenCalledTimes(2);
  });

  it('closes the connection that it opened beside one that answers late', async () => {
    const ended: string[] = [];
    const { check, stub } = createCheck(async () => connectionTo(NODE, ended, 'second'));
    stub.getConnections = () => [connectionTo(NODE, ended, 'first')];
    const answer = Promise.withResolvers<never>();
    Object.assign(stub, { dialProtocol: () => answer.promise });
    expect(await check.look(viewOf(NODE))).toBe('there');
    expect(ended).toEqual([]);
    answer.reject(
      Object.assign(new Error('it is of an older version'), { name: 'UnsupportedProtocolError' }),
    );
    await vi.waitFor(() => expect(ended).toEqual(['second closed']));
  });

  it('keeps it in place of one that stays silent', async () => {
    const ended: string[] = [];
    const { check, stub } = createCheck(async () => connectionTo(NODE, ended, 'second'));
    stub.getConnections = () => [connectionTo(NODE, ended, 'first')];
    Object.assign(stub, { dialProtocol: async () => Promise.reject(new Error('no answer')) });
    expect(await check.look(viewOf(NODE))).toBe('there');
    await vi.waitFor(() => expect(ended).toEqual(['first aborted']));
  });

  it('says of one node more than it looks for at once that it does not know', async () => {
    const dial = Promise.withResolvers<Connection>();
    const { check } = createCheck(() => dial.promise);
    const views = await Promise.all(
      Array.from({ length: 65 }, async () =>
        viewOf(peerIdText(await generateKeyPair('Ed25519')) as NodeId),
      ),
    );
    const looks = views.map((view) => check.look(view));
    expect(await looks[64]).toBe('unknown');
    dial.reject(new Error('nobody there'));
    expect(new Set(await Promise.all(looks.slice(0, 64)))).toEqual(new Set(['gone']));
  });
});
