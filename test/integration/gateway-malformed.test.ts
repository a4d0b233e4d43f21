import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { status } from '@grpc/grpc-js';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GrpcCaller } from '../support/grpc-caller.ts';
import { startTestGateway, type TestGateway } from '../support/test-gateway.ts';

const lines: string[] = [];
let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startTestGateway(
    { network: 'none', bootstrapAddresses: [] },
    {
      connect: () => Promise.reject(new Error('no swarm')),
      logger: pino({ level: 'debug' }, { write: (line) => lines.push(line) }),
      wait: false,
    },
  );
});
afterAll(async () => gateway?.[Symbol.asyncDispose]());

function open() {
  const { hostname, port } = new URL(gateway.http);
  return connect(Number(port), hostname);
}

/** What comes back on a connection that is the gateway's to end. */
async function send(sent: string): Promise<{ status: number; head: string; body: unknown }> {
  const socket = open();
  socket.write(sent);
  const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n');
  return { status: Number(head.split(' ')[1]), head, body: JSON.parse(body) };
}

describe('What is no request', () => {
  it.each([
    [400, 'GET /v2 HTTP/1.1\r\nhost: x\r\nx: \u0001\r\n\r\n', /^expected a request of HTTP\/1.1: /],
    [
      431,
      `GET /v2 HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(17_000)}\r\n\r\n`,
      /more than 16384 bytes/,
    ],
  ])('is told %i, what was expected, and an id', async (expected, sent, error) => {
    const { status, head, body } = await send(sent);
    expect([status, body]).toEqual([expected, { error: expect.stringMatching(error) }]);
    expect(head).toMatch(/x-request-id: [0-9a-f-]{36}/);
  });

  it.each([
    ['/v2/models/%zz', { error: "'/v2/models/%zz' is not a valid url component" }],
    ['/v1/models/%zz', { error: expect.objectContaining({ type: 'invalid_request_error' }) }],
  ])('has a broken escape, as %s, and is refused as all else there', async (path, body) => {
    const answer = await fetch(gateway.http + path);
    expect([answer.status, await answer.json()]).toEqual([400, body]);
    expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('has a method that nothing has, and is refused as all others are', async () => {
    const { status, body } = await send(
      'PURGE /v2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
    );
    expect([status, body]).toEqual([405, { error: 'Method Not Allowed' }]);
  });

  it('is broken off by its client, which is no fault of the gateway', async () => {
    const socket = open();
    await once(socket, 'connect');
    socket.write('POST /v2/models/m/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{');
    socket.on('error', () => undefined);
    // Not before the gateway waits for the rest.
    await fetch(`${gateway.http}/v2/health/live`);
    socket.resetAndDestroy();
    await expect.poll(() => lines.join('')).toContain('the client went away');
    expect(lines.join('')).not.toContain('"kind":"internal"');
  });
});

describe('What few clients send', () => {
  const live = (head: string) => `GET ${head}\r\nconnection: close\r\n\r\n`;
  const infer = (head: string) =>
    `POST /v2/models/m/infer HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${head}\r\n\r\n`;

  it('names no host and is refused, but for who speaks HTTP/1.0', async () => {
    const { status, head, body } = await send(live('/v2/health/live HTTP/1.1'));
    expect([status, body]).toEqual([
      ...[400, { error: 'header host is missing, expected one in a request of HTTP/1.1' }],
    ]);
    expect(head).toMatch(/x-request-id: [0-9a-f-]{36}/);
    expect(await send(live('/v2/health/live HTTP/1.0'))).toMatchObject({ status: 200 });
  });

  it('has its host in the path, as a proxy has it', async () => {
    expect(await send(live('http://x/v2/health/live HTTP/1.1\r\nhost: x'))).toMatchObject({
      ...{ status: 200, body: { live: true } },
    });
  });

  it.each(['json', '', 'a/b/c'])('is of the type %j, which means nothing', async (type) => {
    const sent = infer(`content-type: ${type}\r\ncontent-length: 2`);
    expect(await send(`${sent}{}`)).toMatchObject({ status: 503 });
  });

  it('expects what is unknown here, and gets an answer all the same', async () => {
    const sent = live('/v2/health/live HTTP/1.1\r\nhost: x\r\nexpect: 200-ok');
    expect(await send(sent)).toMatchObject({ status: 200 });
  });

  it('asks before it sends its body, and is told to go on', async () => {
    const socket = open();
    socket.write(infer('expect: 100-continue\r\ncontent-length: 2'));
    const [told] = (await once(socket, 'data')) as [Buffer];
    expect(String(told)).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    socket.write('{}');
    expect(await text(socket)).toMatch(/^HTTP\/1.1 503 /);
  });

  it('asks before it sends a body that is too large, and is refused before', async () => {
    const { status, head, body } = await send(
      'POST /v2/models/m/infer HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 99999999\r\n\r\n',
    );
    expect([status, body]).toEqual([
      ...[400, { error: expect.stringContaining('more than 67108864 bytes') }],
    ]);
    expect(head).toMatch(/^connection: close$/im);
  });
});

/** Its first byte would be a field of a kind that protobuf has not. */
const GARBAGE = Buffer.from('no message');

const UNREAD = {
  code: status.INVALID_ARGUMENT,
  details: expect.stringMatching(/^message cannot be read, expected one of protobuf: ./),
};

describe('Bytes that are no message', () => {
  it.each(['ServerLive', 'ModelInfer', 'RepositoryIndex', 'Check'])(
    "are the caller's fault, sent to %s",
    async (method) => {
      using caller = new GrpcCaller(gateway.grpc);
      await expect(caller.callBytes(method, GARBAGE)).rejects.toMatchObject(UNREAD);
    },
  );

  it('end a stream, after the answers of what came before them', async () => {
    using caller = new GrpcCaller(gateway.grpc);
    const stream = caller.streamBytes('ModelStreamInfer');
    const answers: unknown[] = [];
    stream.on('data', (answer) => answers.push(answer));
    const ended = new Promise((resolve) => stream.once('error', resolve));
    stream.write(caller.encode('ModelStreamInfer', { id: 'first' }).subarray(5));
    stream.write(GARBAGE);
    expect(await ended).toMatchObject(UNREAD);
    expect(answers).toMatchObject([{ infer_response: { id: 'first' } }]);
  });
});
