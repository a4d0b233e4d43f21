import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApiKey } from '../../../../../src/gateway/access/api-key-file.ts';
import { ApiKeys, checkMayUse } from '../../../../../src/gateway/access/api-keys.ts';
import { createTestFolder } from '../../../../support/test-folder.ts';

let folder: Awaited<ReturnType<typeof createTestFolder>>;
let file: string;
beforeEach(async () => {
  folder = await createTestFolder();
  file = path.join(folder.path, 'api-keys.json');
});
afterEach(() => folder[Symbol.asyncDispose]());

const write = (keys: object) => writeFile(file, JSON.stringify(keys));
const bearer = (text: string) => `Bearer ${text}`;

describe('ApiKeys', () => {
  it('needs no key where there is no file, or none is named', async () => {
    for (const keys of [new ApiKeys(undefined), new ApiKeys(file)]) {
      expect(await keys.required()).toBe(false);
      expect(await keys.authenticate(undefined)).toMatchObject({ name: undefined });
    }
  });

  it('knows a key by its text alone, and what it may do', async () => {
    const { text, entry } = createApiKey({ models: ['p/m'], priority: 9 });
    await write({ shop: entry });
    const keys = new ApiKeys(file);
    const caller = await keys.authenticate(bearer(text));
    expect(caller).toMatchObject({ name: 'shop', highestPriority: 9, defaultPriority: 9 });
    expect(() => checkMayUse(caller, 'p/m')).not.toThrow();
    expect(() => checkMayUse(caller, 'p/other')).toThrow(/not for model 'p\/other'/);
    for (const header of [undefined, text, 'Basic x', bearer(entry.sha256), bearer(`${text}x`)]) {
      await expect(keys.authenticate(header)).rejects.toMatchObject({ kind: 'unauthenticated' });
    }
  });

  it('lets a key ask as often as its rate says', async () => {
    const { text, entry } = createApiKey({ requestsPerSecond: 0.5 });
    await write({ slow: entry });
    const keys = new ApiKeys(file);
    await keys.authenticate(bearer(text));
    const refused = keys.authenticate(bearer(text));
    await expect(refused).rejects.toMatchObject({ kind: 'exhausted' });
    await expect(refused).rejects.toSatisfy(
      ({ retryAfterMs }: { retryAfterMs: number }) => retryAfterMs > 0 && retryAfterMs <= 2_000,
    );
  });

  it('goes on refusing when its file is gone', async () => {
    const { text, entry } = createApiKey({});
    await write({ one: entry });
    const keys = new ApiKeys(file);
    await keys.authenticate(bearer(text));
    await rm(file);
    const refused = () =>
      keys.authenticate(bearer(text)).then(
        () => 'open',
        ({ kind }: { kind: string }) => kind,
      );
    await expect.poll(refused, { timeout: 5_000 }).toBe('unauthenticated');
    expect(await keys.required()).toBe(true);
  });

  it.each(['{', '[]', '{"a":{}}', '{"a":{"sha256":"00","createdAt":"now"}}'])(
    'opens to nobody where its file is %s',
    async (text) => {
      await writeFile(file, text);
      await expect(new ApiKeys(file).authenticate(undefined)).rejects.toMatchObject({
        code: 'ERR_STORE',
        message: expect.stringMatching(/is damaged/),
      });
    },
  );
});
