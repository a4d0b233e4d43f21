import { InvalidRecordError } from '../errors.ts';
import { isName } from '../reference.ts';

const toUtf8 = new TextEncoder();

const KEY = /^\/release\/([1-9A-HJ-NP-Za-km-z]{40,64})\/([^/]+)$/;

/** The DHT key of a model's release record: `/release/<publisher>/<name>`. */
export function releaseKey(publisher: string, name: string): Uint8Array {
  return toUtf8.encode(`/release/${publisher}/${name}`);
}

/**
 * The publisher and name a DHT key stands for.
 *
 * @throws {ERR_INVALID_RECORD} when it is not the key of a release record.
 */
export function parseReleaseKey(key: Uint8Array): { publisher: string; name: string } {
  const text = key.byteLength > 256 ? '' : Buffer.from(key).toString('utf8');
  const [, publisher, name] = KEY.exec(text) ?? [];
  if (publisher === undefined || name === undefined || !isName(name)) {
    throw new InvalidRecordError('DHT key is not /release/<publisher>/<name>');
  }
  return { publisher, name };
}
