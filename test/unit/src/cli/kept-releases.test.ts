import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { describe, expect, it } from 'vitest';
import { cidOfDigest, sha256 } from '../../../../protocols/digest.ts';
import { setChannel, signRelease } from '../../../../protocols/release/index.ts';
import type { PublisherId, VersionCid } from '../../../../protocols/types.ts';
import { KeptReleases } from '../../../../src/cli/kept-releases.ts';
import { peerIdText } from '../../../../src/swarm/identity.ts';
import { refusal } from '../../../support/refusal.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

const signal = new AbortController().signal;

async function createRecord(name: string, issuedAtMs = Date.now()) {
  const key = await generateKeyPair('Ed25519');
  const publisher = peerIdText(key) as PublisherId;
  const cid = cidOfDigest(sha256(Buffer.from(name))).toString() as VersionCid;
  const release = setChannel(undefined, {
    publisher,
    name,
    channel: 'stable',
    cid,
    nowMs: issuedAtMs,
    validityMs: 60_000,
  });
  return { publisher, bytes: await signRelease(release, key) };
}

describe('KeptReleases', () => {
  it('gives back what was kept, by network, publisher and name', async () => {
    await using folder = await createTestFolder();
    const { publisher, bytes } = await createRecord('digits');
    const model = { network: 'main', publisher, name: 'digits' };
    await new KeptReleases(folder.path).write(model, bytes);
    const later = new KeptReleases(folder.path);
    expect(await later.read(model, signal)).toEqual(Buffer.from(bytes));
    expect(await later.read({ ...model, network: 'test' }, signal)).toBeUndefined();
    expect(await later.read({ ...model, name: 'other' }, signal)).toBeUndefined();
  });

  it('gives nothing for a record that has expired', async () => {
    await using folder = await createTestFolder();
    const { publisher, bytes } = await createRecord('digits', Date.now() - 60_001);
    const model = { network: 'main', publisher, name: 'digits' };
    const kept = new KeptReleases(folder.path);
    await kept.write(model, bytes);
    expect(await kept.read(model, signal)).toBeUndefined();
  });

  it('refuses a damaged record rather than forget its sequence', async () => {
    await using folder = await createTestFolder();
    const { publisher, bytes } = await createRecord('digits');
    const model = { network: 'main', publisher, name: 'digits' };
    const kept = new KeptReleases(folder.path);
    await mkdir(path.dirname(kept.fileOf(model)), { recursive: true });
    for (const damaged of [bytes.slice(0, -1), new Uint8Array(), new Uint8Array(100_000)]) {
      await writeFile(kept.fileOf(model), damaged);
      await expect(kept.read(model, signal)).rejects.toEqual(
        refusal('ERR_STORE', /^kept release record .* is damaged: /),
      );
    }
  });

  it('refuses a record of another model', async () => {
    await using folder = await createTestFolder();
    const { publisher, bytes } = await createRecord('digits');
    const kept = new KeptReleases(folder.path);
    await kept.write({ network: 'main', publisher, name: 'letters' }, bytes);
    await expect(
      kept.read({ network: 'main', publisher, name: 'letters' }, signal),
    ).rejects.toEqual(refusal('ERR_STORE', /is of \w+\/digits, expected \w+\/letters$/));
  });

  it('gives one process at a time its turn to sign, with what was signed before', async () => {
    await using folder = await createTestFolder();
    const { publisher, bytes } = await createRecord('digits');
    const model = { network: 'main', publisher, name: 'digits' };
    const kept = new KeptReleases(folder.path);
    const options = { holder: 'swarm publish', signal };
    {
      await using turn = await kept.openTurn(model, options);
      expect(turn.previous).toBeUndefined();
      await turn.keep(bytes);
      await expect(kept.openTurn(model, { ...options, waitMs: 0 })).rejects.toEqual(
        refusal('ERR_STORE', new RegExp(`^process ${process.pid} \\(swarm publish, since`)),
      );
      // Another model's turn is another's.
      await using _other = await kept.openTurn({ ...model, name: 'letters' }, options);
    }
    await using next = await kept.openTurn(model, { ...options, waitMs: 0 });
    expect(next.previous).toEqual(Buffer.from(bytes));
  });

  it('gives the turn back when what was kept is damaged', async () => {
    await using folder = await createTestFolder();
    const { publisher } = await createRecord('digits');
    const model = { network: 'main', publisher, name: 'digits' };
    const kept = new KeptReleases(folder.path);
    await mkdir(path.dirname(kept.fileOf(model)), { recursive: true });
    await writeFile(kept.fileOf(model), 'damaged');
    for (let attempt = 0; attempt < 2; attempt += 1) {
      await expect(
        kept.openTurn(model, { holder: 'swarm publish', signal, waitMs: 0 }),
      ).rejects.toEqual(refusal('ERR_STORE', /is damaged/));
    }
  });
});
