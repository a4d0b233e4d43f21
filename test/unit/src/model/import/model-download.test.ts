import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type DownloadOptions,
  downloadModel,
  parseModelAddress,
} from '../../../../../src/model/import/model-download.ts';
import { importPackage, openPackage } from '../../../../../src/model/import/package-import.ts';
import { readTree } from '../../../../support/file-tree.ts';
import { addModel } from '../../../../support/models.ts';
import { refusal } from '../../../../support/refusal.ts';
import { createTestFolder } from '../../../../support/test-folder.ts';

const DIGEST = 'ab'.repeat(32);
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A server on loopback that answers each path as it is told. */
async function serve(
  answers: Readonly<Record<string, (request: IncomingMessage, response: ServerResponse) => void>>,
) {
  const server = createServer((request, response) => {
    const answer = answers[new URL(request.url ?? '/', 'http://x').pathname];
    if (answer === undefined) response.writeHead(404).end();
    else answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const folder = await createTestFolder();
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const file = path.join(folder.path, 'model.onnx');
  return {
    origin,
    file,
    folder: folder.path,
    fetch: (name: string, digest = DIGEST, options: DownloadOptions = {}) =>
      downloadModel(parseModelAddress(`${origin}${name}#sha256=${digest}`), file, options),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await folder[Symbol.asyncDispose]();
    },
  };
}

describe('parseModelAddress', () => {
  it('takes the digest from the address or from beside it', () => {
    const upper = DIGEST.toUpperCase();
    for (const [text, beside] of [
      [`https://example.org/a/net.onnx?download=1#sha256=${upper}`, undefined],
      ['https://example.org/a/net.onnx?download=1', upper],
      [`https://example.org/a/net.onnx?download=1#sha256=${DIGEST}`, upper],
    ] as const) {
      const address = parseModelAddress(text, beside);
      expect(address.url.href).toBe('https://example.org/a/net.onnx?download=1');
      expect(address).toMatchObject({ sha256: DIGEST, fileName: 'net.onnx' });
    }
  });

  it.each([
    ['https://example.org/', 'model.onnx'],
    ['https://example.org/download', 'model.onnx'],
    ['https://example.org/net.bin', 'model.onnx'],
    ['https://example.org/%2e%2e%2fnet.onnx', 'model.onnx'],
    ['https://example.org/a/.onnx', 'model.onnx'],
    ['https://example.org/a/net-1.2_x.ONNX', 'net-1.2_x.ONNX'],
  ])('gives what comes from %s the name %s', (url, name) => {
    expect(parseModelAddress(url, DIGEST).fileName).toBe(name);
  });

  it.each([
    ['https://example.org/net.onnx', undefined, /comes without the sha256 of the file/],
    ['https://example.org/net.onnx#sha256=', undefined, /comes without the sha256/],
    [
      `https://example.org/net.onnx#sha256=${'ab'.repeat(31)}`,
      undefined,
      /expected 64 hexadecimal digits/,
    ],
    [
      `https://example.org/net.onnx#sha256=${'xy'.repeat(32)}`,
      undefined,
      /expected 64 hexadecimal digits/,
    ],
    [
      `https://example.org/net.onnx#sha1=${DIGEST}`,
      undefined,
      /fragment of the address is .*, expected #sha256=<hex>$/,
    ],
    [`https://example.org/net.onnx#sha256=${DIGEST}`, 'cd'.repeat(32), /different digests/],
    [
      `http://example.org/net.onnx#sha256=${DIGEST}`,
      undefined,
      /^address http:\/\/example\.org\/net\.onnx is not https/,
    ],
    [`http://127.0.0.1.example.org/net.onnx#sha256=${DIGEST}`, undefined, /is not https/],
    [
      `https://me:secret@example.org/net.onnx#sha256=${DIGEST}`,
      undefined,
      /^address holds a user name or password/,
    ],
    ['https://', undefined, /^address is no URL/],
  ])('refuses %s', async (text, beside, fault) => {
    const parse = async () => parseModelAddress(text, beside);
    await expect(parse()).rejects.toEqual(refusal('ERR_INVALID_INPUT', fault));
  });

  it.each(['http://localhost/x.onnx', 'http://127.0.0.1:8080/x.onnx', 'http://[::1]/x.onnx'])(
    'takes %s, which is of this machine',
    (url) => {
      expect(parseModelAddress(url, DIGEST).url.protocol).toBe('http:');
    },
  );

  it('shows no query in an error: it may hold a secret', () => {
    expect(() => parseModelAddress('https://example.org/net.onnx?token=secret')).toThrow(
      /^https:\/\/example\.org\/net\.onnx comes without/,
    );
  });
});

describe('downloadModel', () => {
  it('writes what the server sends, over redirects, when its digest is right', async () => {
    const bytes = Buffer.alloc(300_000, 'model');
    await using server = await serve({
      '/old.onnx': (_, response) => response.writeHead(302, { location: '/new.onnx' }).end(),
      '/new.onnx': (_, response) => response.end(bytes),
    });
    await server.fetch('/old.onnx', sha256(bytes));
    expect(await readFile(server.file)).toEqual(bytes);
  });

  it('asks for the file itself, not for a compressed one', async () => {
    let asked: unknown;
    await using server = await serve({
      '/m.onnx': (request, response) => {
        asked = request.headers['accept-encoding'];
        response.end('x');
      },
    });
    await server.fetch('/m.onnx', sha256(Buffer.from('x')));
    expect(asked).toBe('identity');
  });

  it('refuses bytes of another digest', async () => {
    await using server = await serve({ '/m.onnx': (_, response) => response.end('other') });
    await expect(server.fetch('/m.onnx')).rejects.toEqual(
      refusal(
        'ERR_CORRUPT',
        `${server.origin}/m.onnx hashes to ${sha256(Buffer.from('other'))}, expected ${DIGEST}`,
      ),
    );
  });

  it('takes as many bytes as the limit, and not one more, whether the server says so or not', async () => {
    const body = (length: number): Buffer => Buffer.alloc(length, 7);
    await using server = await serve({
      '/100.onnx': (_, response) => response.end(body(100)),
      '/101.onnx': (_, response) => response.end(body(101)),
      '/unsaid.onnx': (_, response) => {
        response.write(body(100));
        response.end(body(1));
      },
    });
    await server.fetch('/100.onnx', sha256(body(100)), { maxBytes: 100 });
    for (const name of ['/101.onnx', '/unsaid.onnx']) {
      const file = path.join(server.folder, name);
      const address = parseModelAddress(`${server.origin}${name}`, sha256(body(101)));
      await expect(downloadModel(address, file, { maxBytes: 100 })).rejects.toEqual(
        refusal(
          'ERR_LIMIT',
          `${server.origin}${name} has more than 100 bytes, expected at most that many`,
        ),
      );
    }
  });

  it.each([
    [404, 'ERR_NOT_FOUND'],
    [410, 'ERR_NOT_FOUND'],
    [401, 'ERR_FORBIDDEN'],
    [403, 'ERR_FORBIDDEN'],
    [500, 'ERR_CONNECTION'],
    [206, 'ERR_CONNECTION'],
    [304, 'ERR_CONNECTION'],
  ] as const)('says what status %d means', async (status, code) => {
    await using server = await serve({
      '/m.onnx': (_, response) => response.writeHead(status).end(),
    });
    await expect(server.fetch('/m.onnx?token=secret')).rejects.toEqual(
      refusal(code, `${server.origin}/m.onnx answered with status ${status}, expected 200`),
    );
  });

  it('follows five redirects, and no sixth', async () => {
    const hop = (left: number) => (_: IncomingMessage, response: ServerResponse) =>
      left === 0 ? response.end('x') : response.writeHead(307, { location: `/${left - 1}` }).end();
    const hops = Object.fromEntries([0, 1, 2, 3, 4, 5, 6].map((n) => [`/${n}`, hop(n)]));
    await using server = await serve(hops);
    await expect(server.fetch('/6')).rejects.toEqual(
      refusal('ERR_CONNECTION', `${server.origin}/6 redirects more than 5 times`),
    );
    await server.fetch('/5', sha256(Buffer.from('x')));
  });

  it('follows no redirect to plain http elsewhere', async () => {
    await using server = await serve({
      '/m.onnx': (_, response) =>
        response.writeHead(302, { location: 'http://example.org/m.onnx' }).end(),
    });
    await expect(server.fetch('/m.onnx')).rejects.toEqual(
      refusal('ERR_INVALID_INPUT', /^address http:\/\/example\.org\/m\.onnx is not https/),
    );
  });

  it.each([
    ['before the first byte', () => undefined],
    ['in the middle', (response: ServerResponse) => response.write('half')],
  ])('gives up on a server that goes silent %s', async (_when, begin) => {
    await using server = await serve({ '/m.onnx': (_, response) => void begin(response) });
    await expect(server.fetch('/m.onnx', DIGEST, { idleTimeoutMs: 100 })).rejects.toEqual(
      expect.objectContaining({
        code: 'ERR_DEADLINE',
        phase: 'fetch',
        message: `${server.origin}/m.onnx sent nothing for 100 ms`,
      }),
    );
  });

  it('says when the connection breaks off, and when nobody listens', async () => {
    await using server = await serve({
      '/m.onnx': (request, response) => {
        response.writeHead(200, { 'content-length': 100 });
        response.write('half');
        request.socket.destroySoon();
      },
    });
    const broken = refusal(
      'ERR_CONNECTION',
      /^http:\/\/127\.0\.0\.1:\d+\/m\.onnx could not be fetched: /,
    );
    await expect(server.fetch('/m.onnx')).rejects.toEqual(broken);
    const nobody = parseModelAddress('http://127.0.0.1:1/m.onnx', DIGEST);
    await expect(downloadModel(nobody, path.join(server.folder, 'x'))).rejects.toEqual(broken);
  });

  it('ends with the reason of a signal', async () => {
    const controller = new AbortController();
    await using server = await serve({ '/m.onnx': () => controller.abort(new Error('enough')) });
    await expect(server.fetch('/m.onnx', DIGEST, { signal: controller.signal })).rejects.toThrow(
      'enough',
    );
  });
});

describe('importPackage, given an address,', () => {
  it('makes a package of the one file that comes', async () => {
    const bytes = addModel();
    await using server = await serve({ '/sum.onnx': (_, response) => response.end(bytes) });
    const out = path.join(server.folder, 'out');
    const address = `${server.origin}/sum.onnx#sha256=${sha256(bytes)}`;
    expect(await importPackage(address, out)).toEqual({
      origin: 'url',
      location: out,
      files: ['sum.onnx'],
      notes: [],
    });
    expect(await readTree(out)).toEqual({ 'sum.onnx': Buffer.from(bytes).toString('base64') });
  });

  it.each([
    ['of another digest', Buffer.from('x'), DIGEST, 'ERR_CORRUPT'],
    ['that is no model', Buffer.from('<html>'), sha256(Buffer.from('<html>')), 'ERR_INVALID_MODEL'],
  ] as const)('leaves nothing of a file %s', async (_what, bytes, digest, code) => {
    await using server = await serve({ '/m.onnx': (_, response) => response.end(bytes) });
    const parent = path.join(server.folder, 'staging');
    const address = `${server.origin}/m.onnx`;
    await expect(openPackage(address, parent, { sha256: digest })).rejects.toMatchObject({ code });
    expect(await readTree(server.folder)).toEqual({});
  });
});
