import { execFile } from 'node:child_process';
import { chmod, mkdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  establishIsolation,
  findIsolation,
  hostIsolation,
  type Isolation,
} from '../../../../node/backend/isolation.ts';
import { present } from '../../../support/present.ts';
import { createTestFolder } from '../../../support/test-folder.ts';

/** Whether the machine the tests run on can shut a process in: containers often forbid it. */
const { kind, confine } = await hostIsolation();

let folder: Awaited<ReturnType<typeof createTestFolder>>;
beforeAll(async () => {
  folder = await createTestFolder();
});
afterAll(async () => folder[Symbol.asyncDispose]());

/** What a program says from inside. */
async function inside(
  { launcher }: Pick<Isolation, 'launcher'>,
  code: string,
  ...rest: string[]
): Promise<string> {
  const [command = '', ...args] = [...launcher, process.execPath, '-e', code, ...rest];
  const { stdout } = await promisify(execFile)(command, args);
  return stdout.trim();
}

describe.runIf(kind === 'namespaces')('A process in namespaces of its own', () => {
  let isolation: Isolation;
  let secret: string;
  beforeAll(async () => {
    secret = path.join(folder.path, 'node.key');
    await writeFile(secret, 'hunter2');
    await mkdir(path.join(folder.path, 'records'));
    await writeFile(path.join(folder.path, 'records', 'one'), 'hunter3');
    const names = ['node.key', 'records', 'not-there'];
    isolation = await findIsolation({ hidden: names.map((name) => path.join(folder.path, name)) });
  });

  test('sees no secrets of the node, and the node itself still does', async () => {
    const look = `
      const fs = require('node:fs');
      const [key, records] = process.argv.slice(1);
      console.log(JSON.stringify([fs.readFileSync(key, 'utf8'), fs.readdirSync(records)]));`;
    const records = path.join(folder.path, 'records');
    expect(JSON.parse(await inside(isolation, look, secret, records))).toEqual(['', []]);
    expect(await readFile(secret, 'utf8')).toBe('hunter2');
  });

  test('cannot uncover them', async () => {
    const uncover = `
      const { spawnSync } = require('node:child_process');
      const [key] = process.argv.slice(1);
      spawnSync('umount', [key]);
      spawnSync('unshare', ['--user', '--map-root-user', '--mount', 'umount', key]);
      console.log(require('node:fs').readFileSync(key, 'utf8').length);`;
    expect(await inside(isolation, uncover, secret)).toBe('0');
  });

  test('reaches no server, not even one on this machine', async () => {
    const server = createServer((socket) => socket.end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const dial = `
      const socket = require('node:net').connect(Number(process.argv[1]), '127.0.0.1');
      socket.on('connect', () => { console.log('reached'); socket.destroy(); });
      socket.on('error', ({ code }) => console.log(code));`;
    const plain = { kind: 'process', launcher: [] } as const;
    expect(await inside(plain, dial, String(port))).toBe('reached');
    expect(await inside(isolation, dial, String(port))).toBe('ENETUNREACH');
    server.close();
  });

  test('cannot look into the process that started it', async () => {
    const peek = `
      try { console.log(require('node:fs').readFileSync('/proc/' + process.ppid + '/environ').length); }
      catch ({ code }) { console.log(code); }`;
    expect(await inside(isolation, peek)).toBe('EACCES');
  });

  test('has no privileges and cannot gain any, writes no core files, keeps its id and devices', async () => {
    const look = `
      const fs = require('node:fs');
      const status = fs.readFileSync('/proc/self/status', 'utf8');
      const field = (name) => new RegExp('^' + name + ':\\\\t(.*)$', 'm').exec(status)[1];
      const core = /^Max core file size +(\\S+)/m.exec(fs.readFileSync('/proc/self/limits', 'utf8'))[1];
      fs.accessSync('/dev/null', fs.constants.W_OK);
      console.log(JSON.stringify([field('CapPrm'), field('CapBnd'), field('NoNewPrivs'), core, process.ppid]));`;
    const none = '0000000000000000';
    expect(JSON.parse(await inside(isolation, look))).toEqual([none, none, '1', '0', process.pid]);
  });
});

describe.runIf(confine !== undefined)('A process that is confined to files of its own', () => {
  let launcher: readonly string[];
  let data: string;
  beforeAll(async () => {
    data = path.join(folder.path, 'a data folder');
    for (const name of ['run', 'model', 'other']) {
      await mkdir(path.join(data, name), { recursive: true });
      await writeFile(path.join(data, name, 'file'), name);
    }
    const isolation = await findIsolation({ dataDir: data });
    launcher = present(isolation.confine)({
      folder: path.join(data, 'run'),
      writable: [],
      readable: [path.join(data, 'model')],
    });
  });

  test('reads its model and writes in its folder, where it is, and nowhere else', async () => {
    const look = `
      const fs = require('node:fs');
      const path = require('node:path');
      const [data, system, elsewhere] = process.argv.slice(1);
      const can = (what) => { try { what(); return true; } catch ({ code }) { return code; } };
      const write = (folder) => can(() => fs.writeFileSync(path.join(folder, 'written'), 'x'));
      console.log(JSON.stringify({
        cwd: process.cwd() === path.join(data, 'run'),
        model: can(() => fs.readFileSync(path.join(data, 'model', 'file'))),
        other: can(() => fs.readFileSync(path.join(data, 'other', 'file'))),
        elsewhere: can(() => fs.readFileSync(elsewhere)),
        writes: ['run', 'model', '.', '..'].map((name) => write(path.join(data, name))),
        system: [write(system), can(() => fs.writeFileSync('/proc/sys/kernel/hostname', 'x'))],
      }));`;
    const elsewhere = path.join(folder.path, 'elsewhere');
    await writeFile(elsewhere, 'hunter4');
    const system = path.dirname(process.execPath);
    const said = await inside({ launcher }, look, data, system, elsewhere);
    expect(JSON.parse(said)).toEqual({
      cwd: true,
      model: true,
      other: 'ENOENT',
      elsewhere: 'ENOENT',
      writes: [true, 'EROFS', 'EROFS', 'EROFS'],
      system: ['EROFS', 'EROFS'],
    });
    expect(await readFile(path.join(data, 'run', 'written'), 'utf8')).toBe('x');
  });

  test('cannot mount, leave its root, or gain what it gave away', async () => {
    const leave = `
      const { spawnSync } = require('node:child_process');
      const [data] = process.argv.slice(1);
      const run = (...command) => spawnSync(command[0], command.slice(1)).status;
      console.log(JSON.stringify([
        run('mount', '-o', 'remount,bind,rw', data + '/model'),
        run('unshare', '--user', '--map-root-user', '--mount', 'umount', data + '/model'),
        run('chroot', '/proc/' + process.ppid + '/root', '/bin/true'),
      ].map((status) => status === 0)));`;
    expect(JSON.parse(await inside({ launcher }, leave, data))).toEqual([false, false, false]);
  });
});

describe('findIsolation', () => {
  test('says which program is missing', async () => {
    expect(await findIsolation({ platform: 'linux', programFolders: [folder.path] })).toEqual({
      kind: 'process',
      reason: `unshare is not in ${folder.path}`,
      launcher: [],
    });
  });

  test.runIf(process.platform === 'linux')(
    'says what the system said when it forbids it, and trusts no launcher that leaves the network',
    async () => {
      const programs = path.join(folder.path, 'bin');
      await mkdir(programs);
      for (const name of ['mount', 'setpriv', 'sh', 'readlink', 'cat', 'unshare']) {
        await writeFile(path.join(programs, name), '#!/bin/sh\necho not permitted >&2\nexit 1\n');
        await chmod(path.join(programs, name), 0o755);
      }
      const find = async () => findIsolation({ platform: 'linux', programFolders: [programs] });
      expect(await find()).toMatchObject({ kind: 'process', reason: 'not permitted' });
      const says = async (text: string) =>
        writeFile(path.join(programs, 'unshare'), `#!/bin/sh\ncat <<'.'\n${text}\n.\n`);
      const header = 'net:[4026532999]';
      const status = 'CapBnd:\t0000000000000000\nNoNewPrivs:\t1';
      const own = process.platform === 'linux' ? await readlink('/proc/self/ns/net') : '';
      for (const network of [own, '']) {
        await says(`${network}\n${status}`);
        expect(await find()).toMatchObject({ reason: 'the network is still that of the node' });
      }
      await says(`${header}\nCapBnd:\t00000000a80425fb\nNoNewPrivs:\t1`);
      expect(await find()).toMatchObject({ reason: 'privileges could not be given away' });
      await says(`${header}\n${status}`);
      expect(await find()).toMatchObject({ kind: 'namespaces' });
    },
  );

  test.each(['darwin', 'win32'] as const)('knows no such means on %s', async (platform) => {
    expect(await findIsolation({ platform })).toMatchObject({ kind: 'process', launcher: [] });
  });
});

describe('establishIsolation', () => {
  const none = { platform: 'win32' } as const;

  test('takes what the host gives by default, refuses to go without where it is required', async () => {
    expect(await establishIsolation('auto', none)).toMatchObject({ kind: 'process' });
    await expect(establishIsolation('required', none)).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringContaining('cannot be shut in on this host: win32'),
    });
  });

  test('is off when the owner says so', async () => {
    const off = await establishIsolation('off');
    expect(off).toMatchObject({ kind: 'process', reason: expect.stringContaining('owner') });
    expect(off.launcher).toEqual([]);
  });
});
