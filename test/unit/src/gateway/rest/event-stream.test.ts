import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { openEventStream } from '../../../../../src/gateway/rest/event-stream.ts';

const options = {
  formatError: (error: unknown) => JSON.stringify({ error: (error as Error).message }),
};

async function* say(...messages: (string | Error)[]): AsyncGenerator<string> {
  for (const message of messages) {
    if (message instanceof Error) throw message;
    yield message;
  }
}

describe('openEventStream', () => {
  it('sends each message as an event, and what ends the stream behind the last', async () => {
    expect(await text(await openEventStream(say('1', '{}'), options))).toBe(
      'data: 1\n\ndata: {}\n\n',
    );
    const ended = await openEventStream(say('1'), { ...options, end: 'data: [DONE]\n\n' });
    expect(await text(ended)).toBe('data: 1\n\ndata: [DONE]\n\n');
  });

  it('rejects when the first message fails, and tells of a later failure in its last event', async () => {
    await expect(openEventStream(say(new Error('no')), options)).rejects.toThrow(/^no$/);
    const stream = await openEventStream(say('1', new Error('no')), {
      ...options,
      end: 'data: [DONE]\n\n',
    });
    expect(await text(stream)).toBe('data: 1\n\ndata: {"error":"no"}\n\n');
  });

  it('sends a comment while nothing comes', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const slow = async function* (): AsyncGenerator<string> {
      yield '1';
      await promise;
      yield '2';
    };
    const stream = await openEventStream(slow(), { ...options, pingIntervalMs: 5 });
    let read = '';
    for await (const chunk of stream) {
      read += String(chunk);
      if (read.endsWith(': ping\n\n: ping\n\n')) resolve();
    }
    expect(read).toMatch(/^data: 1\n\n(?:: ping\n\n){2,}data: 2\n\n$/);
  });

  it('tells whoever makes the messages that the reader went away', async () => {
    let ended = false;
    const endless = async function* (): AsyncGenerator<string> {
      try {
        for (;;) yield 'again';
      } finally {
        ended = true;
      }
    };
    const stream = await openEventStream(endless(), options);
    for await (const _ of stream) break;
    await expect.poll(() => ended).toBe(true);
  });
});
