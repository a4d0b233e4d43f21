import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
const bin = (name: string): string => path.join(root, 'node_modules/.bin', name);

/** The wrong import of each layer, the door the linter should point at, and whether the type-checker's projects refuse it too. */
const WRONG = [
  {
    folder: 'protocols',
    source: '../src/policy/routing.ts',
    says: 'protocols/ is the lowest layer',
  },
  { folder: 'src/policy', source: '../swarm/view.ts', says: 'src/policy/ is pure' },
  { folder: 'src/swarm', source: '../client/client.ts', says: 'L1 (src/swarm, src/model)' },
  { folder: 'src/client', source: '../../node/daemon.ts', says: 'The client SDK imports' },
  { folder: 'src/fleet', source: '../client/client.ts', says: 'src/fleet/ is what gateways' },
  { folder: 'src/sim', source: '../client/client.ts', says: 'src/sim/ runs policies' },
  { folder: 'src/gateway', source: '../../node/daemon.ts', says: 'The gateway is a client' },
  { folder: 'node', source: '../src/client/client.ts', says: 'never the client' },
  { folder: 'bootstrap', source: '../node/daemon.ts', says: 'bootstrap/ imports' },
];

async function output(command: string, args: readonly string[]): Promise<string> {
  try {
    return (await run(command, args, { cwd: root, timeout: 60_000 })).stdout;
  } catch (error) {
    return `${(error as { stdout?: string }).stdout}${(error as { stderr?: string }).stderr}`;
  }
}

describe('The layer rule', () => {
  // A folder beside the real one, so that nothing of the checkout is ever broken, with the same place in the tree.
  let probe = '';
  beforeAll(async () => {
    probe = await mkdtemp(path.join(root, 'node_modules/.layer-probe-'));
  });
  afterAll(() => rm(probe, { recursive: true, force: true }));

  it.each(WRONG)(
    'is told by the linter to $folder when it imports $source',
    async ({ folder, source, says }) => {
      const file = path.join(root, folder, `layer-probe-${process.pid}.ts`);
      await writeFile(file, `import * as wrong from '${source}';\nexport const probe = wrong;\n`);
      try {
        expect(await output(bin('oxlint'), [path.relative(root, file)])).toContain(says);
      } finally {
        await rm(file);
      }
    },
  );

  it.each(WRONG)(
    'is refused by the type-checker in $folder for $source',
    async ({ folder, source }) => {
      const config = path.join(probe, 'tsconfig.json');
      const file = path.join(root, folder, `layer-probe-types-${process.pid}.ts`);
      await writeFile(file, `import * as wrong from '${source}';\nexport const probe = wrong;\n`);
      await writeFile(
        config,
        JSON.stringify({
          extends: path.join(root, folder, 'tsconfig.json'),
          compilerOptions: {
            rootDir: root,
            outDir: probe,
            tsBuildInfoFile: path.join(probe, `${path.basename(folder)}.tsbuildinfo`),
            types: [],
          },
          files: [file],
          include: [],
          references: [],
        }),
      );
      try {
        expect(await output(bin('tsc'), ['-p', config])).toContain('TS6307');
      } finally {
        await rm(file);
      }
    },
  );
});
