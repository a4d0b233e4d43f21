import { deflateRawSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { FORMAT_HEAD_BYTES, foreignFormat } from '../../../../src/model/foreign-format.ts';
import { buildModel } from '../../../support/onnx-builder.ts';

const text = (value: string): Uint8Array => Buffer.from(value, 'latin1');

const FOREIGN: readonly [what: string, head: Uint8Array, found: string][] = [
  ['nothing', new Uint8Array(0), 'an empty file'],
  [
    'a Git LFS pointer',
    text('version https://git-lfs.github.com/spec/v1\noid sha256:0\n'),
    'Git LFS pointer',
  ],
  ['an HTML page', text('\n<!DOCTYPE html><html>'), 'HTML or XML page'],
  ['an HTML page after a byte order mark', text('\xef\xbb\xbf\n<html>'), 'HTML or XML page'],
  ['an XML error', text('<?xml version="1.0"?><Error/>'), 'HTML or XML page'],
  ['an ORT model', text('\x18\0\0\0ORTM'), 'ORT-format'],
  ['a TensorFlow Lite model', text('\x1c\0\0\0TFL3'), 'TensorFlow Lite'],
  ['a GGUF file', text('GGUF\x03\0\0\0'), 'GGUF'],
  ['a PyTorch archive', text('PK\x03\x04\0\0'), 'ZIP archive'],
  ['an HDF5 file', text('\x89HDF\r\n\x1a\n'), 'HDF5'],
  ['a gzip archive', gzipSync('x'), 'gzip archive'],
  ['safetensors', text('\x40\0\0\0\0\0\0\0{"a":{}}'), 'safetensors'],
  ['JSON', text(' {"entry": "model.onnx"}'), 'JSON text'],
  ['a JSON list', text('[1]'), 'JSON text'],
];

describe('foreignFormat', () => {
  it.each(FOREIGN)('recognises %s', (_what, head, found) => {
    expect(foreignFormat(head)).toContain(found);
  });

  it('takes an ONNX model for what it is, whatever its producer is called', () => {
    const found = ['pytorch', 'ORTM', 'TFL3', 'GGUF', '<html>', '{'].map((producer) => {
      const model = buildModel({ inputs: [], outputs: [], nodes: [], producer });
      return foreignFormat(model.subarray(0, FORMAT_HEAD_BYTES));
    });
    expect(found).toEqual(Array.from(found, () => undefined));
  });

  it('says nothing of bytes that no other format begins with', () => {
    expect(foreignFormat(deflateRawSync(Buffer.from('x'.repeat(100))))).toBeUndefined();
    expect(foreignFormat(Uint8Array.of(0))).toBeUndefined();
  });
});
