import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

/** Milliseconds without an event after which a comment is sent, so that nobody between takes the stream for dead. */
export const PING_INTERVAL_MS = 15_000;

/** What keeps proxies from holding events back until they have many. */
export const EVENT_STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
} as const;

export interface EventStreamOptions {
  /** What the client is told of a failure once the stream has begun, as the data of its last event. */
  readonly formatError: (error: unknown) => string;
  /** What is sent when all went well, behind the last event. @default '' */
  readonly end?: string | undefined;
  /** @default {@link PING_INTERVAL_MS} */
  readonly pingIntervalMs?: number | undefined;
}

/**
 * Messages as server-sent events, each when it comes. It waits for the first: until then a failure rejects, and can still be a status.
 * When the reader goes away, `messages` is told to return.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export async function openEventStream(
  messages: AsyncIterable<string>,
  options: EventStreamOptions,
): Promise<Readable> {
  const iterator = messages[Symbol.asyncIterator]();
  const first = await iterator.next();
  return Readable.from(events(first, iterator, options), { objectMode: false });
}

async function* events(
  first: IteratorResult<string>,
  iterator: AsyncIterator<string>,
  { formatError, end = '', pingIntervalMs = PING_INTERVAL_MS }: EventStreamOptions,
): AsyncGenerator<string> {
  try {
    let next: Promise<IteratorResult<string>> = Promise.resolve(first);
    for (;;) {
      const found = await before(next, pingIntervalMs);
      if (found === undefined) {
        yield ': ping\n\n';
        continue;
      }
      if (found.done === true) break;
      next = iterator.next();
      // Its failure is told when its turn comes.
      next.catch(() => undefined);
      yield `data: ${found.value}\n\n`;
    }
    if (end !== '') yield end;
  } catch (error) {
    yield `data: ${formatError(error)}\n\n`;
  } finally {
    await iterator.return?.();
  }
}

/** Undefined when it takes longer. */
async function before<T>(promise: Promise<T>, timeoutMs: number): Promise<T | undefined> {
  const settled = new AbortController();
  const late = delay(timeoutMs, undefined, { signal: settled.signal, ref: false });
  try {
    return await Promise.race([promise, late]);
  } finally {
    settled.abort();
  }
}
