import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fileNameFault, fileNameKey } from '../../../../protocols/manifest/index.ts';

describe('fileNameFault', () => {
  it.each([
    'model.onnx',
    'weights',
    '..x',
    '.hidden',
    'a b',
    'ü.bin',
    '入力.bin',
    'console.log',
    'x'.repeat(255),
  ])('takes %j', (name) => {
    expect(fileNameFault(name)).toBeUndefined();
  });

  it.each([
    ['', 'is empty'],
    ['.', 'is a directory'],
    ['..', 'is a directory'],
    ['../m.onnx', 'holds one of / \\ : * ? " < > |, expected a plain file name'],
    ['/etc/passwd', 'holds one of'],
    ['a\\b', 'holds one of'],
    ['C:m.onnx', 'holds one of'],
    ['a*', 'holds one of'],
    ['a\0b', 'holds a control character'],
    ['a\nb', 'holds a control character'],
    ['a\u0085b', 'holds a control character'],
    ['a.', 'ends with a dot or a space'],
    ['a ', 'ends with a dot or a space'],
    ['nul', 'is a reserved device name'],
    ['Com1.onnx', 'is a reserved device name'],
    ['a\ufffd', 'is not UTF-8'],
    ['x'.repeat(256), 'is longer than 255 bytes'],
    ['ü'.repeat(128), 'is longer than 255 bytes'],
  ])('refuses %j', (name, fault) => {
    expect(fileNameFault(name)).toContain(fault);
  });

  it('never takes a name that leads out of a folder on any system', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('.', '/', '\\', ':', 'a', '\0') }), (name) => {
        const leads = /[/\\:\0]/.test(name) || ['', '.', '..'].includes(name);
        expect(leads && fileNameFault(name) === undefined).toBe(false);
      }),
    );
  });
});

describe('fileNameKey', () => {
  it('is the same for names that are one file somewhere', () => {
    expect(fileNameKey('Model.ONNX')).toBe(fileNameKey('model.onnx'));
    expect(fileNameKey('e\u0301')).toBe(fileNameKey('\u00e9'));
    expect(fileNameKey('a')).not.toBe(fileNameKey('b'));
  });
});
