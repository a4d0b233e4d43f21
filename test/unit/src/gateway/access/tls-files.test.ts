import { readFile, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TlsFiles, type TlsInit } from '../../../../../src/gateway/access/tls-files.ts';
import { certificateFiles, writeCertificate } from '../../../../support/test-certificate.ts';
import { createTestFolder } from '../../../../support/test-folder.ts';

let folder: Awaited<ReturnType<typeof createTestFolder>>;
let init: TlsInit;
beforeEach(async () => {
  folder = await createTestFolder();
  init = certificateFiles(folder.path);
  await writeCertificate(init);
});
afterEach(() => folder[Symbol.asyncDispose]());

describe('TlsFiles', () => {
  it('tells of a new certificate once, and of none while the files stay', async () => {
    const told: Buffer[] = [];
    const files = await TlsFiles.open(init, () => undefined);
    files.onChange(({ cert }) => told.push(cert));
    await files.look();
    expect(told).toEqual([]);
    await writeCertificate(init);
    await files.look();
    await files.look();
    expect(told).toEqual([await readFile(init.certFile)]);
    expect(files.pair.cert).toEqual(told[0]);
  });

  it('keeps what it has while key and certificate do not fit, and says so once', async () => {
    const failures: unknown[] = [];
    const files = await TlsFiles.open(init, (error) => failures.push(error));
    const before = files.pair;
    const oldKey = await readFile(init.keyFile);
    await writeCertificate(init);
    const newKey = await readFile(init.keyFile);
    await writeFile(init.keyFile, oldKey);
    await files.look();
    await files.look();
    expect(files.pair).toBe(before);
    expect(failures).toMatchObject([{ code: 'ERR_CONFIG', message: /and its key in PEM/ }]);
    await writeFile(init.keyFile, newKey);
    await files.look();
    expect(files.pair.key).toEqual(newKey);
  });

  it.each(['', 'no certificate'])('does not open with a certificate that is %j', async (text) => {
    await writeFile(init.certFile, text);
    await expect(TlsFiles.open(init, () => undefined)).rejects.toMatchObject({
      code: 'ERR_CONFIG',
    });
  });
});
