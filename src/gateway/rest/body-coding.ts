import { promisify } from 'node:util';
import { deflate, gunzip, gzip, inflate } from 'node:zlib';
import { GatewayRefusal } from '../refusal.ts';

/** What the protocol's clients compress with; `deflate` is zlib's format, as HTTP says. */
const DECODERS = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
};

const ENCODERS = { gzip: promisify(gzip), deflate: promisify(deflate) };

/** Bytes below which compression costs more than it saves. */
export const MIN_ENCODED_BYTES = 1024;

/** Tensors hardly compress: the fastest level is nearly as small as the best. */
const LEVEL = 1;

/**
 * A body as it was before its `Content-Encoding`.
 *
 * @throws {GatewayRefusal} when the encoding is unknown, the body is not of it, or there would be more than `maxBytes`.
 */
export async function decodeBody(
  body: Buffer,
  encoding: string | undefined,
  maxBytes: number,
): Promise<Buffer> {
  const name = encoding?.trim().toLowerCase() ?? '';
  if (name === '' || name === 'identity') return body;
  if (!Object.hasOwn(DECODERS, name)) {
    throw new GatewayRefusal(
      'unsupported',
      `Content-Encoding ${JSON.stringify(name.slice(0, 40))} is not supported, expected gzip or deflate`,
      { headers: { 'accept-encoding': 'gzip, deflate' } },
    );
  }
  try {
    // zlib counts its own output: what a small body could unfold to is never held.
    return await DECODERS[name as keyof typeof DECODERS](body, { maxOutputLength: maxBytes });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ERR_BUFFER_TOO_LARGE') {
      throw new GatewayRefusal(
        'too-large',
        `request has more than ${maxBytes} bytes once decompressed, expected at most that many`,
      );
    }
    throw new GatewayRefusal('invalid', `request is not ${name}: ${message}`);
  }
}

/** The encoding that a client takes and that is worth it; undefined for the body as it is. */
export function selectEncoding(
  accepted: string | undefined,
  bytes: number,
): keyof typeof ENCODERS | undefined {
  if (accepted === undefined || bytes < MIN_ENCODED_BYTES) return undefined;
  const names = accepted.split(',').flatMap((item) => {
    const [name = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase());
    return parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter)) ? [] : [name];
  });
  if (names.includes('gzip')) return 'gzip';
  return names.includes('deflate') ? 'deflate' : undefined;
}

export async function encodeBody(body: Buffer, encoding: keyof typeof ENCODERS): Promise<Buffer> {
  return ENCODERS[encoding](body, { level: LEVEL });
}
