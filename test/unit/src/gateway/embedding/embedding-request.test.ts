import { describe, expect, it } from 'vitest';
import {
  MAX_CHARACTERS,
  MAX_TEXTS,
  parseEmbeddingRequest,
} from '../../../../../src/gateway/embedding/embedding-request.ts';

const parse = (input: unknown) =>
  parseEmbeddingRequest(Buffer.from(JSON.stringify({ model: 'words', input })));

describe('parseEmbeddingRequest', () => {
  it('takes 2048 texts and refuses one more, naming the field', () => {
    const texts = Array.from({ length: MAX_TEXTS }, () => 'cat');
    expect(parse(texts).input).toEqual(texts);
    expect(() => parse([...texts, 'cat'])).toThrow(
      expect.objectContaining({
        ...{ kind: 'invalid', param: 'input' },
        message: 'input has 2049 texts, expected at most 2048',
      }),
    );
  });

  it.each([
    ['a text', (text: string) => text],
    ['two texts', (text: string) => [text.slice(9), text.slice(0, 9)]],
  ])('takes 4194304 characters of %s and refuses one more, naming the field', (_, inputOf) => {
    const text = 'x'.repeat(MAX_CHARACTERS);
    expect(parse(inputOf(text)).input).toHaveLength([inputOf(text)].flat().length);
    expect(() => parse(inputOf(`${text}x`))).toThrow(
      expect.objectContaining({
        ...{ kind: 'invalid', param: 'input' },
        message: 'input has 4194305 characters, expected at most 4194304',
      }),
    );
  });

  it('takes null for what is not set', () => {
    const request = { model: 'words', input: 'cat', encoding_format: null, dimensions: null };
    expect(parseEmbeddingRequest(Buffer.from(JSON.stringify(request)))).toEqual({
      ...{ model: 'words', input: ['cat'], encoding: 'float', dimensions: undefined },
    });
  });

  it('refuses half a character, of which a tokenizer would make another', () => {
    expect(() => parse(['cat', 'a\ud800'])).toThrow(
      expect.objectContaining({
        ...{ kind: 'invalid', param: 'input' },
        message: 'input: expected texts of whole Unicode characters, found "a\\ud800"',
      }),
    );
  });

  it.each([
    ['[', 'the request is not JSON: Unexpected end of JSON input'],
    ['[]', 'expected an object, found an array of 0'],
  ])('says of %s what it is', (body, message) => {
    expect(() => parseEmbeddingRequest(Buffer.from(body))).toThrow(message);
  });
});
