import * as dagCbor from '@ipld/dag-cbor';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { describe, expect, it } from 'vitest';
import { signEnvelope } from '../../../../protocols/codec/signed-envelope.ts';
import { digestText } from '../../../../protocols/digest.ts';
import { MAX_PROVISION_BYTES } from '../../../../protocols/limits.ts';
import {
  deriveHookKey,
  isOfHook,
  namesHook,
  openProvision,
  signProvision,
} from '../../../../protocols/provision/index.ts';
import { brokenProvisions, hookKeyVector, provisionPayload } from '../../../vectors/provision.ts';

const DOMAIN = 'gpu-swarm:provision:1';
const key = await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(7));
const reporter = peerIdFromPrivateKey(key).toString();
const hookKey = await deriveHookKey(hookKeyVector.network, hookKeyVector.hook);
const { sequence, leaving } = provisionPayload;

describe('deriveHookKey', () => {
  it('gives the group and the secret of docs/protocols/provision.md', () => {
    expect(digestText(hookKey.group)).toBe(hookKeyVector.group);
    expect(digestText(hookKey.secret)).toBe(hookKeyVector.secret);
  });

  it('gives another for another network or hook', async () => {
    const others = [
      await deriveHookKey('other', hookKeyVector.hook),
      await deriveHookKey(hookKeyVector.network, `${hookKeyVector.hook}/`),
    ];
    for (const other of others) {
      expect(other.group).not.toEqual(hookKey.group);
      expect(other.secret).not.toEqual(hookKey.secret);
    }
  });
});

describe('signProvision and openProvision', () => {
  it('give back who lives, and the group of its hook', async () => {
    const opened = await openProvision(await signProvision({ sequence, leaving }, hookKey, key));
    expect(opened).toEqual({ ...provisionPayload, reporter });
    expect(isOfHook(opened, hookKey)).toBe(true);
  });

  it('write the payload of docs/protocols/provision.md', async () => {
    const bytes = await signProvision({ sequence, leaving }, hookKey, key);
    const [, payload] = dagCbor.decode<[string, Uint8Array]>(bytes);
    expect(dagCbor.decode(payload)).toEqual(provisionPayload);
  });

  it('carry the highest sequence within the bound', async () => {
    const most = { sequence: Number.MAX_SAFE_INTEGER, leaving: true };
    const bytes = await signProvision(most, hookKey, key);
    expect(bytes.byteLength).toBeLessThanOrEqual(MAX_PROVISION_BYTES);
    expect(await openProvision(bytes)).toMatchObject(most);
  });

  it('pass over keys of a later program', async () => {
    const payload = dagCbor.encode({ ...provisionPayload, later: 1 });
    const bytes = await signEnvelope(DOMAIN, new Uint8Array(payload), key);
    expect(await openProvision(bytes)).toEqual({ ...provisionPayload, reporter });
  });

  it.each(brokenProvisions)('refuse the payload $name', async ({ payload, names }) => {
    const bytes = await signEnvelope(DOMAIN, payload, key);
    await expect(openProvision(bytes)).rejects.toMatchObject({
      code: 'ERR_INVALID_RECORD',
      message: expect.stringMatching(names),
    });
  });

  it('refuse a record of another kind, and one byte over the bound before anything else', async () => {
    const payload = new Uint8Array(dagCbor.encode(provisionPayload));
    const demand = await signEnvelope('gpu-swarm:demand:1', payload, key);
    await expect(openProvision(demand)).rejects.toMatchObject({ code: 'ERR_INVALID_RECORD' });
    await expect(openProvision(new Uint8Array(MAX_PROVISION_BYTES + 1))).rejects.toMatchObject({
      code: 'ERR_LIMIT',
    });
  });

  it('sign nothing that others would refuse', async () => {
    await expect(signProvision({ sequence: 0, leaving }, hookKey, key)).rejects.toThrow(/sequence/);
  });
});

describe('isOfHook', () => {
  it('tells who does not know the hook by the tag, whatever of it is changed', async () => {
    const good = await openProvision(await signProvision({ sequence, leaving }, hookKey, key));
    const other = peerIdFromPrivateKey(
      await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(8)),
    ).toString() as typeof good.reporter;
    const forged = [
      { ...good, reporter: other },
      { ...good, sequence: sequence + 1 },
      { ...good, leaving: true },
      { ...good, tag: new Uint8Array(32) },
    ];
    for (const heartbeat of forged) {
      expect(namesHook(heartbeat, hookKey)).toBe(true);
      expect(isOfHook(heartbeat, hookKey)).toBe(false);
    }
    expect(isOfHook({ ...good, group: new Uint8Array(32) }, hookKey)).toBe(false);
  });
});
