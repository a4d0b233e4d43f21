import { describe, expect, it } from 'vitest';
import { readImportChoices } from '../../../../src/cli/import-choices.ts';
import { importLocation } from '../../../../src/cli/import-location.ts';
import { refusal } from '../../../support/refusal.ts';

describe('readImportChoices', () => {
  it('reads the options of a command, and leaves out what was not given', () => {
    expect(
      readImportChoices({ what: 'x', out: 'y', tritonVersion: '12', variant: 'fp16' }),
    ).toEqual({
      model: undefined,
      tritonVersion: 12,
      variant: 'fp16',
      sha256: undefined,
    });
  });

  it.each(['0', '01', '-1', '1.5', 'two', '', '9999999999999999'])(
    'refuses version %j',
    async (tritonVersion) => {
      const read = async () => readImportChoices({ tritonVersion });
      await expect(read()).rejects.toEqual(
        refusal('ERR_CONFIG', `--triton-version is '${tritonVersion}', expected an integer from 1`),
      );
    },
  );
});

describe('importLocation', () => {
  it('starts a path at the folder of the call, and leaves an address alone', () => {
    expect(importLocation('/home/ada', 'm/a.onnx')).toBe('/home/ada/m/a.onnx');
    expect(importLocation('/home/ada', '/m/a.onnx')).toBe('/m/a.onnx');
    expect(importLocation('/home/ada', 'https://example.org/a.onnx#sha256=00')).toBe(
      'https://example.org/a.onnx#sha256=00',
    );
  });
});
