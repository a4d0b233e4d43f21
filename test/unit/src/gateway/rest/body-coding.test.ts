import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import {
  decodeBody,
  MIN_ENCODED_BYTES,
  selectEncoding,
} from '../../../../../src/gateway/rest/body-coding.ts';

const text = Buffer.alloc(100, 'a');

describe('decodeBody', () => {
  it.each([
    [undefined, text],
    ['identity', text],
    ['gzip', gzipSync(text)],
    ['GZIP', gzipSync(text)],
    ['deflate', deflateSync(text)],
  ])('undoes %s', async (encoding, body) => {
    expect(await decodeBody(body, encoding, 100)).toEqual(text);
  });

  it.each([
    ['more than the bound', 'gzip', gzipSync(text), 'too-large', /more than 99 bytes/],
    ['raw deflate', 'deflate', deflateRawSync(text), 'invalid', /is not deflate/],
    ['no gzip', 'gzip', text, 'invalid', /^request is not gzip: incorrect header check$/],
    ['half of it', 'gzip', gzipSync(text).subarray(0, 12), 'invalid', /: unexpected end of file$/],
    ['an unknown encoding', 'br', text, 'unsupported', /expected gzip or deflate/],
    ['two encodings', 'gzip, gzip', text, 'unsupported', /expected gzip or deflate/],
  ])('refuses %s', async (_what, encoding, body, kind, message) => {
    await expect(decodeBody(body, encoding, 99)).rejects.toMatchObject({
      kind,
      message: expect.stringMatching(message),
    });
  });
});

describe('selectEncoding', () => {
  it.each([
    [undefined, undefined],
    ['', undefined],
    ['br', undefined],
    ['deflate, gzip', 'gzip'],
    ['gzip;q=0, deflate', 'deflate'],
    ['gzip;q=0.0', undefined],
    ['gzip;q=0.5', 'gzip'],
  ])('reads %j', (accepted, encoding) => {
    expect(selectEncoding(accepted, MIN_ENCODED_BYTES)).toBe(encoding);
    expect(selectEncoding(accepted, MIN_ENCODED_BYTES - 1)).toBeUndefined();
  });
});
