import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readRestrictions } from '../../../../../src/gateway/access/restricted-groups.ts';
import { refusal } from '../../../../support/refusal.ts';
import { createTestFolder } from '../../../../support/test-folder.ts';

let folder: Awaited<ReturnType<typeof createTestFolder>>;
let file: string;
beforeEach(async () => {
  folder = await createTestFolder();
  file = path.join(folder.path, 'restricted');
});
afterEach(() => folder[Symbol.asyncDispose]());

const headers = (values: Record<string, string>) => (name: string) => values[name];

describe('RestrictedGroups', () => {
  it('are for who sends their header with the whole value, in both protocols', async () => {
    await writeFile(file, '# operators\n\nmodel-repository,statistics:Admin-Key=a=b c\r\n');
    const groups = await readRestrictions(file);
    for (const group of ['model-repository', 'statistics'] as const) {
      expect(() => groups.checkHttp(group, headers({ 'admin-key': 'a=b c' }))).not.toThrow();
      expect(() => groups.checkHttp(group, headers({ 'admin-key': 'a=b' }))).toThrow(
        /^This API is restricted, expecting header 'admin-key'$/,
      );
      const key = 'triton-grpc-protocol-admin-key';
      expect(() => groups.checkGrpc(group, headers({ [key]: 'a=b c' }))).not.toThrow();
      expect(() => groups.checkGrpc(group, headers({ 'admin-key': 'a=b c' }))).toThrow(
        /^This protocol is restricted, expecting header 'triton-grpc-protocol-admin-key'$/,
      );
    }
    expect(() => groups.checkHttp('inference', headers({}))).not.toThrow();
  });

  it.each([
    ['health', /line 1: expected groups:header=value/],
    ['nothing:a=b', /line 1: expected groups of health, metadata,/],
    ['health:a=b\nhealth:c=d', /line 2: group 'health' is restricted twice/],
    ['health:a b=c', /line 1: expected groups:header=value, found another form$/],
  ])('do not open with a file of %j, and show no value', async (text, message) => {
    await writeFile(file, text);
    await expect(readRestrictions(file)).rejects.toMatchObject({
      ...{ code: 'ERR_CONFIG', message: expect.stringMatching(message) },
    });
  });

  it('do not open without their file', async () => {
    await expect(readRestrictions(file)).rejects.toEqual(
      refusal(
        'ERR_CONFIG',
        `--restrict-file ${file} does not exist, expected a file of lines groups:header=value`,
      ),
    );
    await expect(readRestrictions(folder.path)).rejects.toEqual(
      refusal('ERR_CONFIG', /^--restrict-file .* is a folder, expected/),
    );
  });
});
