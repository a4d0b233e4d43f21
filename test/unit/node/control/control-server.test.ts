import { stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { controlAddress } from '../../../../node/control/control-address.ts';
import { findNode } from '../../../../node/control/control-client.ts';
import { ControlServer } from '../../../../node/control/control-server.ts';
import type { ControlVerbs } from '../../../../node/control/control-verb.ts';
import { NotFoundError } from '../../../../protocols/errors.ts';
import { present } from '../../../support/present.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

const forever = new AbortController().signal;

describe('ControlServer', () => {
  let folder: Awaited<ReturnType<typeof createTestFolder>>;
  let server: ControlServer;
  let ended = '';
  const verbs: ControlVerbs = {
    async *count(argument) {
      for (let item = 0; item < Number(argument); item += 1) yield { item };
    },
    async *fail() {
      yield 'one';
      throw new NotFoundError('it is not here');
    },
    async *bug() {
      yield 'one';
      throw new TypeError('secret path');
    },
    async *wait(_, signal) {
      yield 'begun';
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      ended = String(signal.reason);
    },
  };
  const ask = async (verb: string, argument?: string, signal = forever): Promise<unknown[]> => {
    const node = present(await findNode(folder.path, forever));
    const items: unknown[] = [];
    for await (const item of node.ask({ verb, argument }, signal)) items.push(item);
    return items;
  };

  const start = (): Promise<ControlServer> =>
    ControlServer.start({
      address: present(controlAddress(folder.path)),
      verbs,
      logger: pino({ level: 'silent' }),
    });

  beforeEach(async () => {
    ended = '';
    folder = await createTestFolder();
    server = await start();
  });
  afterEach(async () => {
    await server.stop();
    await folder[Symbol.asyncDispose]();
  });

  it('answers item by item, none and many', async () => {
    expect(await ask('count', '0')).toEqual([]);
    expect(await ask('count', '5000')).toHaveLength(5_000);
  });

  it('tells a failure by its code, after what came before it', async () => {
    await expect(ask('fail')).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
      message: 'it is not here',
    });
    await expect(ask('no-such')).rejects.toMatchObject({
      code: 'ERR_INVALID_INPUT',
      message: "unknown control verb 'no-such'",
    });
  });

  it('keeps what a bug of ours says to itself', async () => {
    await expect(ask('bug')).rejects.toMatchObject({
      code: 'ERR_INTERNAL',
      message: expect.not.stringContaining('secret'),
    });
  });

  it.each([
    ['is no JSON', 'what\n', /control request is not JSON/],
    ['lacks its verb', '{"argument":"x"}\n', /lacks its verb/],
  ])('refuses a line that %s, and goes on', async (_, line, message) => {
    const socket = connect(present(controlAddress(folder.path)));
    socket.write(line);
    let text = '';
    for await (const part of socket) text += String(part);
    expect(text).toMatch(message);
    expect(await ask('count', '1')).toHaveLength(1);
  });

  it('ends a connection that sends an endless line', async () => {
    const socket = connect(present(controlAddress(folder.path)));
    socket.on('error', () => undefined);
    socket.write('x'.repeat(5_000));
    await new Promise((resolve) => socket.once('close', resolve));
    expect(await ask('count', '1')).toHaveLength(1);
  });

  it('gives up the work of one who leaves', async () => {
    const controller = new AbortController();
    const node = present(await findNode(folder.path, forever));
    const items = node.ask({ verb: 'wait' }, controller.signal);
    await items.next();
    const next = items.next();
    controller.abort(new Error('enough'));
    await expect(next).rejects.toThrow('enough');
    await expect.poll(() => ended).toContain('the asker left');
  });

  it('ends what is under way when it stops, and nobody is found there then', async () => {
    const failure = ask('wait').catch((error: unknown) => error);
    await expect.poll(() => ask('count', '1')).toHaveLength(1);
    await server.stop();
    expect(await failure).toMatchObject({ code: 'ERR_CONNECTION' });
    expect(await findNode(folder.path, forever)).toBeUndefined();
  });

  it.skipIf(process.platform === 'win32')(
    'lets nobody else in, and takes the place of a socket that a crash left',
    async () => {
      const socket = path.join(folder.path, 'control.sock');
      expect((await stat(socket)).mode & 0o777).toBe(0o600);
      await server.stop();
      await writeFile(socket, '');
      expect(await findNode(folder.path, forever)).toBeUndefined();
      server = await start();
      expect(await ask('count', '1')).toHaveLength(1);
    },
  );
});

describe('controlAddress', () => {
  it.skipIf(process.platform === 'win32')(
    'is undefined for a folder whose path is a byte too long for a socket',
    () => {
      const fits = `/${'x'.repeat(103 - '/control.sock'.length - 1)}`;
      expect(controlAddress(fits)).toHaveLength(103);
      expect(controlAddress(`${fits}x`)).toBeUndefined();
    },
  );

  it('is one pipe for a folder on Windows, however it is written', () => {
    const pipe = controlAddress('/Data/Node', 'win32');
    expect(pipe).toMatch(/^\\\\\.\\pipe\\gpu-swarm-[0-9a-f]{32}$/);
    expect(controlAddress('/data/x/../node', 'win32')).toBe(pipe);
  });
});
