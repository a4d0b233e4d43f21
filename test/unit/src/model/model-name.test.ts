import { describe, expect, it } from 'vitest';
import { externalNameFault, nameFault } from '../../../../src/model/model-name.ts';

describe('nameFault', () => {
  it('takes any text within the bound, in bytes', () => {
    expect(nameFault('выход/ü:0', 1024)).toBeUndefined();
    expect(nameFault('ü'.repeat(512), 1024)).toBeUndefined();
    expect(nameFault(`${'ü'.repeat(512)}x`, 1024)).toBe(
      'is 1025 bytes long, expected at most 1024',
    );
  });

  it('refuses names that are empty, cut by the runtime, or of broken text', () => {
    expect(nameFault('', 10)).toBe('is empty');
    expect(nameFault('a\0b', 10)).toContain('NUL');
    expect(nameFault('a\ufffd', 10)).toBe('is not UTF-8');
  });
});

describe('externalNameFault', () => {
  it.each(['weights.bin', 'model.onnx_data', 'ü.bin', '..x', 'w'.repeat(255)])(
    'takes %j',
    (name) => {
      expect(externalNameFault(name)).toBeUndefined();
    },
  );

  it.each([
    '../weights.bin',
    '..',
    '.',
    'sub/weights.bin',
    '/etc/passwd',
    'sub\\weights.bin',
    'C:weights.bin',
    'weights.bin:stream',
    'w'.repeat(256),
    'weights\n.bin',
    'weights.bin ',
    'nul',
    'w\ufffd.bin',
    '',
    '*/_ORT_MEM_ADDR_/*',
    '_ORT_MEM_ADDR_',
  ])('refuses %j', (name) => {
    expect(externalNameFault(name)).toEqual(expect.any(String));
  });
});
