import * as dagCbor from '@ipld/dag-cbor';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { describe, expect, it } from 'vitest';
import { signEnvelope } from '../../../../protocols/codec/signed-envelope.ts';
import {
  openRecruit,
  type RecruitNotice,
  signRecruit,
} from '../../../../protocols/demand/index.ts';
import { MAX_RECRUIT_BYTES } from '../../../../protocols/limits.ts';
import type { PublisherId, VersionCid } from '../../../../protocols/types.ts';
import { brokenRecruits, recruitPayload } from '../../../vectors/demand.ts';

const DOMAIN = 'gpu-swarm:recruit:1';
const key = await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(7));
const reporter = peerIdFromPrivateKey(key).toString();

const notice: Omit<RecruitNotice, 'reporter'> = {
  ...recruitPayload,
  publisher: recruitPayload.publisher as PublisherId,
  cid: recruitPayload.cid.toString() as VersionCid,
};

describe('signRecruit and openRecruit', () => {
  it('give back what is lacking, and who says so', async () => {
    expect(await openRecruit(await signRecruit(notice, key))).toEqual({ ...notice, reporter });
  });

  it('write the payload of docs/protocols/demand.md', async () => {
    const [, payload] = dagCbor.decode<[string, Uint8Array]>(await signRecruit(notice, key));
    expect(dagCbor.decode(payload)).toEqual(recruitPayload);
  });

  it('carry the most that a notice may say within its bound', async () => {
    const most = {
      ...notice,
      name: 'n'.repeat(64),
      sequence: Number.MAX_SAFE_INTEGER,
      memoryBytes: Number.MAX_SAFE_INTEGER,
      providers: Array.from({ length: 8 }, (_, index) => `${'p'.repeat(31)}${index}`),
    };
    const bytes = await signRecruit(most, key);
    expect(bytes.byteLength).toBeLessThanOrEqual(MAX_RECRUIT_BYTES);
    expect(await openRecruit(bytes)).toEqual({ ...most, reporter });
  });

  it.each(brokenRecruits)('refuse the payload $name', async ({ payload, names }) => {
    const bytes = await signEnvelope(DOMAIN, payload, key);
    await expect(openRecruit(bytes)).rejects.toMatchObject({
      code: 'ERR_INVALID_RECORD',
      message: expect.stringMatching(names),
    });
  });

  it('refuse a demand digest, and one byte over the bound before anything else', async () => {
    const demand = await signEnvelope('gpu-swarm:demand:1', dagCbor.encode(recruitPayload), key);
    await expect(openRecruit(demand)).rejects.toMatchObject({ code: 'ERR_INVALID_RECORD' });
    await expect(openRecruit(new Uint8Array(MAX_RECRUIT_BYTES + 1))).rejects.toMatchObject({
      code: 'ERR_LIMIT',
    });
  });

  it('sign nothing that others would refuse', async () => {
    await expect(signRecruit({ ...notice, deficit: 0 }, key)).rejects.toThrow(/deficit/);
  });
});
