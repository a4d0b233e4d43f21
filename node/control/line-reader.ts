import type { Readable } from 'node:stream';
import { LimitError } from '../../protocols/errors.ts';

/** Lines of a text stream; @throws {ERR_LIMIT} when one has more than `maxUnits` UTF-16 units. */
export async function* readLines(stream: Readable, maxUnits: number): AsyncGenerator<string> {
  let rest = '';
  for await (const text of stream.setEncoding('utf8') as AsyncIterable<string>) {
    rest += text;
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      yield rest.slice(0, end);
      rest = rest.slice(end + 1);
    }
    if (rest.length > maxUnits) {
      throw new LimitError(`control line has more than ${maxUnits} characters`);
    }
  }
}
