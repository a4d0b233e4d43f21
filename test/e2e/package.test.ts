import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { publint } from 'publint';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addModel } from '../support/models.ts';
import { runCommand } from '../support/swarm-command.ts';
import { createTestFolder } from '../support/test-folder.ts';
import { createTestnet } from '../support/testnet.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

describe('The packed package, installed in an empty folder,', () => {
  let folder: Awaited<ReturnType<typeof createTestFolder>>;
  let tarball = '';

  beforeAll(async () => {
    folder = await createTestFolder();
    const packed = await runCommand('npm', ['pack', '--pack-destination', folder.path], {
      cwd: ROOT,
    });
    expect(packed.code, packed.stderr).toBe(0);
    [tarball = ''] = (await readdir(folder.path)).filter((name) => name.endsWith('.tgz'));
    await writeFile(path.join(folder.path, 'package.json'), '{"private":true,"type":"module"}');
    const installed = await runCommand(
      'npm',
      ['install', `./${tarball}`, '--no-audit', '--no-fund', '--onnxruntime-node-install=skip'],
      { cwd: folder.path },
    );
    expect(installed.code, installed.stderr).toBe(0);
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  const swarm = (...args: string[]) =>
    runCommand(
      process.execPath,
      [path.join(folder.path, 'node_modules/gpu-swarm/bin/swarm.js'), ...args],
      {
        cwd: folder.path,
        env: { TMPDIR: folder.path },
      },
    );

  it('holds no sources, tests or maps', async () => {
    const root = path.join(folder.path, 'node_modules/gpu-swarm');
    const names = await readdir(root, { recursive: true });
    const own = names.filter((name) => !name.startsWith('node_modules'));
    expect(own.filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))).toEqual([]);
    expect(own.filter((name) => /\.(map|tsbuildinfo)$|\.test\./.test(name))).toEqual([]);
    expect(own).toContain('bin/swarm.js');
    expect(own).toContain('README.md');
    expect(own).toContain('LICENSE');
  });

  it('is what its package.json says, in the eyes of publint', async () => {
    const pkgDir = path.join(folder.path, 'node_modules/gpu-swarm');
    const { messages } = await publint({ pkgDir, pack: false, strict: true });
    // The sources are for a checkout alone; whoever has the package never asks for that condition.
    const told = messages.filter(({ path: keys }) => !keys.includes('swarm-source'));
    expect(told).toEqual([]);
  });

  it('runs the whole demonstration with its bundled models', async () => {
    const { code, events, stderr } = await swarm('up', '--demo', '--once', '--json');
    expect(code, stderr).toBe(0);
    expect(events.at(-1)).toMatchObject({ event: 'done', ok: true, failed: 0 });
  });

  it('without a runtime of models says what to install, and gives an application the client, by its name and with its types', async () => {
    const drop = async (part: string) =>
      rm(path.join(folder.path, 'node_modules', part), { recursive: true, force: true });
    await drop('onnxruntime-node/bin');
    const { stderr: lacks } = await swarm('up', '--demo', '--once');
    expect(lacks).toContain(`onnxruntime-node has no binary for ${process.platform}`);
    for (const optional of ['onnxruntime-node', 'onnxruntime-common', 'sharp'])
      await drop(optional);
    const { code: refused, stderr: why } = await swarm('up', '--demo', '--once');
    expect(refused).not.toBe(0);
    expect(why).toContain('onnxruntime-node is not installed; npm install onnxruntime-node@');

    await using testnet = await createTestnet({ nodes: 1, clients: 0 });
    const { publisher } = await testnet.publish(addModel(), { name: 'adder' });
    const program = `
      import { createClient } from 'gpu-swarm';
      const [bootstrap, network, ref] = process.argv.slice(2);
      const client = await createClient({ bootstrap: [bootstrap], network });
      const { outputs } = await client.model(ref).infer({ x: [[1, 2, 3, 4]] });
      console.log(JSON.stringify(outputs.sum.toArray()));
      await client.close();
    `;
    await writeFile(path.join(folder.path, 'app.js'), program);
    const [address = ''] = testnet.bootstrapAddresses;
    const { code, stdout, stderr } = await runCommand(
      process.execPath,
      ['app.js', address, testnet.network, `${publisher}/adder`],
      { cwd: folder.path },
    );
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toEqual([2, 3, 4, 5]);

    await mkdir(path.join(folder.path, 'types'));
    await writeFile(
      path.join(folder.path, 'types/app.ts'),
      `import { createClient, type InferenceCall, type InferResult, type NamedTensor, Tensor } from 'gpu-swarm';
       import type { NodeInit } from 'gpu-swarm/node';
       import type { BootstrapInit } from 'gpu-swarm/bootstrap';
       import type { Announcement } from 'gpu-swarm/protocols';
       export async function ask(): Promise<InferResult> {
         await using client = await createClient({ bootstrap: [] });
         return client.infer('a/b', { x: Tensor.from('FP32', [1], [1]) }, { deadlineMs: 1 });
       }
       export async function watch(call: InferenceCall): Promise<NamedTensor[]> {
         using watched = call;
         const outputs: NamedTensor[] = [];
         for await (const output of watched) outputs.push(output);
         return outputs;
       }
       export type All = NodeInit | BootstrapInit | Announcement;`,
    );
    const checked = await runCommand(
      process.execPath,
      [
        path.join(ROOT, 'node_modules/typescript/bin/tsc'),
        ...['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024'],
        ...['--lib', 'es2024,esnext.disposable', '--skipLibCheck', '--types', 'node'],
        ...['--typeRoots', path.join(ROOT, 'node_modules/@types'), 'types/app.ts'],
      ],
      { cwd: folder.path },
    );
    expect(checked.code, checked.stdout).toBe(0);
  });
});
