/**
 * A request for vectors in OpenAI's form.
 *
 * @see https://platform.openai.com/docs/api-reference/embeddings/create
 */

import { isSwarmError } from '../../../protocols/errors.ts';
import { describeValue } from '../../../protocols/nested-array.ts';
import { GatewayRefusal } from '../refusal.ts';
import { parseJson } from '../rest/rest-request.ts';

/** Texts of one request, as of OpenAI's own. */
export const MAX_TEXTS = 2048;

/**
 * Characters of all texts of one request, as JavaScript counts them: as many texts as there may be with 2048 each. Tokenizers were measured
 * at 1.5 million a second and more, so that what is within this is done within the time that a question has.
 */
export const MAX_CHARACTERS = 4 * 1024 * 1024;

export interface EmbeddingRequest {
  readonly model: string;
  /** Texts, or texts that the caller has made tokens of itself. */
  readonly input: readonly string[] | readonly Int32Array[];
  /** How vectors are written: numbers, or their bytes in base64, FP32 little-endian. */
  readonly encoding: 'float' | 'base64';
  /** Numbers of a vector that are wanted; undefined for all. */
  readonly dimensions: number | undefined;
}

/**
 * Reads a request; fields that it does not know mean nothing to it.
 *
 * @throws {GatewayRefusal} that names the field, what was expected and what was found.
 */
export function parseEmbeddingRequest(body: Uint8Array): EmbeddingRequest {
  const request = parseObject(body);
  // Null is how some clients write a setting that they were not given.
  const encoding = request['encoding_format'] ?? 'float';
  const dimensions = request['dimensions'] ?? undefined;
  const { model } = request;
  if (typeof model !== 'string' || model === '') throw wrong('model', 'the name of a model', model);
  if (encoding !== 'float' && encoding !== 'base64') {
    throw wrong('encoding_format', "'float' or 'base64'", encoding);
  }
  if (dimensions !== undefined && !isCount(dimensions)) {
    throw wrong('dimensions', 'an integer from 1', dimensions);
  }
  return { model, input: parseInput(request['input']), encoding, dimensions };
}

/** A refusal of one field of the request. */
export function wrong(param: string, expected: string, found: unknown): GatewayRefusal {
  const message = `${param}: expected ${expected}, found ${describeValue(found)}`;
  return new GatewayRefusal('invalid', message, { param });
}

function parseObject(body: Uint8Array): Readonly<Record<string, unknown>> {
  let request: unknown;
  try {
    request = parseJson(body);
  } catch (cause) {
    if (!isSwarmError(cause)) throw cause;
    throw new GatewayRefusal('invalid', `the request is ${cause.message}`);
  }
  if (typeof request === 'object' && request !== null && !Array.isArray(request)) {
    return request as Readonly<Record<string, unknown>>;
  }
  throw new GatewayRefusal('invalid', `expected an object, found ${describeValue(request)}`);
}

function parseInput(input: unknown): EmbeddingRequest['input'] {
  if (typeof input === 'string') return checkTexts([input]);
  if (!Array.isArray(input) || input.length === 0) {
    throw wrong('input', 'a text, a list of texts, tokens, or a list of lists of tokens', input);
  }
  const items: readonly unknown[] = input;
  if (typeof items[0] === 'number') return [parseTokens(items, 'input')];
  if (items.length > MAX_TEXTS) {
    const message = `input has ${items.length} texts, expected at most ${MAX_TEXTS}`;
    throw new GatewayRefusal('invalid', message, { param: 'input' });
  }
  if (Array.isArray(items[0])) {
    return items.map((item, index) => parseTokens(item, `input[${index}]`));
  }
  const texts = items.map((item, index) => {
    if (typeof item === 'string') return item;
    throw wrong('input', `a text at [${index}]`, item);
  });
  return checkTexts(texts);
}

function checkTexts(texts: readonly string[]): readonly string[] {
  const broken = texts.find((text) => !text.isWellFormed());
  if (broken !== undefined) throw wrong('input', 'texts of whole Unicode characters', broken);
  const characters = texts.reduce((sum, { length }) => sum + length, 0);
  if (characters <= MAX_CHARACTERS) return texts;
  const message = `input has ${characters} characters, expected at most ${MAX_CHARACTERS}`;
  throw new GatewayRefusal('invalid', message, { param: 'input' });
}

function parseTokens(value: unknown, path: string): Int32Array {
  if (!Array.isArray(value) || value.length === 0) throw wrong('input', `tokens at ${path}`, value);
  const tokens: readonly unknown[] = value;
  const fault = tokens.find((token) => !isToken(token));
  if (fault !== undefined) throw wrong('input', `integers from 0 in ${path}`, fault);
  return Int32Array.from(tokens as readonly number[]);
}

function isToken(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1;
}
