import { generateKeyPair } from '@libp2p/crypto/keys';
import type { PeerId } from '@libp2p/interface';
import type { QueryEvent } from '@libp2p/kad-dht';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { beforeEach, describe, expect, it } from 'vitest';
import { DhtDepartures } from '../../../../src/swarm/dht-departures.ts';
import type { SwarmLibp2p } from '../../../../src/swarm/libp2p.ts';

const peerId = async (): Promise<PeerId> => peerIdFromPrivateKey(await generateKeyPair('Ed25519'));
const event = (name: QueryEvent['name'], from: PeerId): QueryEvent =>
  ({ name, from }) as QueryEvent;

describe('DhtDepartures', () => {
  let removed: PeerId[];
  let connected: PeerId | undefined;
  let online: boolean;
  let departures: DhtDepartures;

  beforeEach(() => {
    removed = [];
    connected = undefined;
    online = true;
    departures = new DhtDepartures({
      getConnections: (peer?: PeerId) =>
        online && (peer === undefined || connected?.equals(peer) === true) ? [{}] : [],
      services: { dht: { routingTable: { remove: async (peer: PeerId) => removed.push(peer) } } },
    } as unknown as SwarmLibp2p);
  });

  it('forgets a peer that could not be asked, once however often it failed', async () => {
    const [left, there] = [await peerId(), await peerId()];
    departures.note(event('QUERY_ERROR', left));
    departures.note(event('QUERY_ERROR', left));
    departures.note(event('PEER_RESPONSE', there));
    expect(await departures.forget({})).toBe(1);
    expect(removed).toEqual([left]);
  });

  it('keeps a peer that is connected: it failed in another way', async () => {
    connected = await peerId();
    departures.note(event('QUERY_ERROR', connected));
    expect(await departures.forget({})).toBe(0);
    expect(removed).toEqual([]);
  });

  it('keeps everybody while this peer is connected to nobody', async () => {
    online = false;
    departures.note(event('QUERY_ERROR', await peerId()));
    expect(await departures.forget({})).toBe(0);
    expect(removed).toEqual([]);
  });

  it('keeps everybody when the query was given up', async () => {
    departures.note(event('QUERY_ERROR', await peerId()));
    expect(await departures.forget({ signal: AbortSignal.abort() })).toBe(0);
    expect(removed).toEqual([]);
  });
});
