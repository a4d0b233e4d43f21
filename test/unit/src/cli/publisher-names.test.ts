import { stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { describe, expect, it } from 'vitest';
import { KeyRing } from '../../../../src/cli/key-ring.ts';
import {
  listPublishers,
  MAX_TRUSTED_PUBLISHERS,
  resolveModelNames,
  resolveModelRef,
  resolvePublisher,
  TrustedPublishers,
} from '../../../../src/cli/publisher-names.ts';
import { refusal } from '../../../support/refusal.ts';
import { createTestFolder } from '../../../support/test-folder.ts';
import { OTHER, PUBLISHER } from '../../../vectors/release.ts';
import { createTestContext } from './command-host.ts';

const signal = new AbortController().signal;

describe('resolveModelRef', () => {
  it('takes a petname from the ring, from `keys trust` and from the settings, wherever an id stands', async () => {
    await using folder = await createTestFolder();
    const own = await new KeyRing(folder.path).add('default', await generateKeyPair('Ed25519'));
    await new TrustedPublishers(folder.path).add('alice', PUBLISHER, { replace: false, signal });
    const { context } = await createTestContext({
      data: folder.path,
      publishers: [`bob=${OTHER}`],
    });
    expect(await resolveModelRef(context, 'alice/digits@beta')).toEqual({
      publisher: PUBLISHER,
      name: 'digits',
      selector: { kind: 'channel', channel: 'beta' },
    });
    expect((await resolveModelRef(context, 'bob/digits')).publisher).toBe(OTHER);
    expect((await resolveModelRef(context, 'default/digits')).publisher).toBe(own.id);
    expect((await resolveModelRef(context, `${OTHER}/digits`)).publisher).toBe(OTHER);
    expect((await listPublishers(context)).map(({ petname, from }) => [petname, from])).toEqual([
      ['alice', 'trusted'],
      ['bob', 'setting'],
      ['default', 'key'],
    ]);
  });

  it('says who is known when nobody has the petname', async () => {
    await using folder = await createTestFolder();
    const { context } = await createTestContext({
      data: folder.path,
      publishers: [`bob=${OTHER}`],
    });
    await expect(resolveModelRef(context, 'alice/digits')).rejects.toEqual(
      refusal('ERR_NOT_FOUND', /by the petname 'alice' \(known: bob\): give the peer id, or name/),
    );
  });

  it('leaves what is no reference to be refused as one', async () => {
    const { context } = await createTestContext({ data: '/nowhere' });
    for (const text of ['digits', '/digits', 'Alice/digits']) {
      await expect(resolveModelRef(context, text)).rejects.toMatchObject({
        code: 'ERR_INVALID_INPUT',
      });
    }
  });
});

describe('resolveModelNames', () => {
  it.each([
    ['u64', /^--cache-model has 'u64': /],
    [`${OTHER}/digits@beta`, /expected no channel nor version$/],
  ])('refuses %s as a fault of its setting', async (text, message) => {
    const { context } = await createTestContext({ data: '/nowhere' });
    await expect(resolveModelNames(context, [text], '--cache-model')).rejects.toEqual(
      refusal('ERR_CONFIG', message),
    );
  });
});

describe('listPublishers', () => {
  it('refuses a petname that means two publishers', async () => {
    await using folder = await createTestFolder();
    await new TrustedPublishers(folder.path).add('bob', PUBLISHER, { replace: false, signal });
    const { context } = await createTestContext({
      data: folder.path,
      publishers: [`bob=${OTHER}`],
    });
    await expect(resolvePublisher(context, 'bob')).rejects.toEqual(
      refusal('ERR_CONFIG', /^petname 'bob' means .* \(trusted\) and .* \(setting\), expected one/),
    );
  });

  it.each(['bob', 'bob=', `=${OTHER}`, `Bob=${OTHER}`, `bob=${OTHER}=1`])(
    'refuses the setting %j',
    async (entry) => {
      const { context } = await createTestContext({ data: '/nowhere', publishers: [entry] });
      await expect(listPublishers(context)).rejects.toEqual(
        refusal('ERR_CONFIG', /^--publisher has .*, expected petname=12D3KooW…$/),
      );
    },
  );
});

describe('TrustedPublishers', () => {
  it('does not give a petname to another publisher unless told to', async () => {
    await using folder = await createTestFolder();
    const trusted = new TrustedPublishers(folder.path);
    await trusted.add('alice', PUBLISHER, { replace: false, signal });
    await trusted.add('alice', PUBLISHER, { replace: false, signal });
    await expect(trusted.add('alice', OTHER, { replace: false, signal })).rejects.toEqual(
      refusal('ERR_INVALID_INPUT', /^petname 'alice' is that of .*, expected --replace to give it/),
    );
    await trusted.add('alice', OTHER, { replace: true, signal });
    expect((await trusted.list(signal)).map(({ id }) => id)).toEqual([OTHER]);
    await trusted.remove('alice', signal);
    await expect(trusted.remove('alice', signal)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
  });

  it('loses nothing when two are named at once', async () => {
    await using folder = await createTestFolder();
    await Promise.all(
      ['a', 'b', 'c', 'd'].map((petname) =>
        new TrustedPublishers(folder.path).add(petname, OTHER, { replace: false, signal }),
      ),
    );
    const listed = await new TrustedPublishers(folder.path).list(signal);
    expect(listed.map(({ petname }) => petname).sort()).toEqual(['a', 'b', 'c', 'd']);
  });

  it('refuses a damaged file rather than know nobody', async () => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'publishers.json');
    for (const text of ['', '[]', '{"alice":1}', '{"alice":"somebody"}', '{"Alice":"x"}']) {
      await writeFile(file, text);
      await expect(new TrustedPublishers(folder.path).list(signal)).rejects.toEqual(
        refusal('ERR_STORE', /^file of publishers .* is damaged: .*, expected \{"petname": "12D3/),
      );
    }
  });

  it('knows a thousand publishers and not one more', async () => {
    await using folder = await createTestFolder();
    const file = path.join(folder.path, 'publishers.json');
    const entries = Array.from({ length: MAX_TRUSTED_PUBLISHERS - 1 }, (_, i) => [`p${i}`, OTHER]);
    await writeFile(file, JSON.stringify(Object.fromEntries(entries)));
    const trusted = new TrustedPublishers(folder.path);
    await trusted.add('last', PUBLISHER, { replace: false, signal });
    await expect(trusted.add('more', PUBLISHER, { replace: false, signal })).rejects.toEqual(
      refusal('ERR_INVALID_INPUT', /^1001 publishers have petnames, expected at most 1000$/),
    );
    expect((await stat(file)).size).toBeLessThan(256 * 1024);
  });
});
