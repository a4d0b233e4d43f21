import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { PYTHON_PACKAGES_ABSENT, runPython } from '../support/python-tools.ts';
import { SWARM } from '../support/swarm-command.ts';
import { createTestFolder } from '../support/test-folder.ts';
import { simpleModel } from '../support/triton-models.ts';

const PAGE = 'docs/migrate-from-triton.md';

/** As Triton's example repository has it. */
const CONFIG = `name: "simple"
platform: "onnxruntime_onnx"
max_batch_size: 8
input [
  { name: "INPUT0" data_type: TYPE_INT32 dims: [ 16 ] },
  { name: "INPUT1" data_type: TYPE_INT32 dims: [ 16 ] }
]
output [
  { name: "OUTPUT0" data_type: TYPE_INT32 dims: [ 16 ] },
  { name: "OUTPUT1" data_type: TYPE_INT32 dims: [ 16 ] }
]
`;

/** The blocks of a language, in their order. */
function blocksOf(page: string, language: string): string[] {
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(
    ([, block = '']) => block,
  );
}

/** A terminal in which somebody pastes lines; all of what it started ends with its scope. */
class Terminal implements AsyncDisposable {
  readonly #shell: ChildProcess;
  #text = '';

  constructor(folder: string, lines: string) {
    this.#shell = spawn('sh', ['-e', '-c', lines], {
      cwd: folder,
      // A group of its own, as a terminal gives to what is started in it.
      detached: true,
      env: {
        ...process.env,
        PATH: `${path.join(folder, 'bin')}:${process.env['PATH']}`,
        // Ports that are free, where the page has Triton's.
        ...{ SWARM_HTTP: ':0', SWARM_GRPC: ':0', SWARM_METRICS: ':0' },
      },
    });
    for (const stream of [this.#shell.stdout, this.#shell.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.#text += text));
    }
  }

  /** The first group of what is written, when it is. */
  async says(pattern: RegExp): Promise<string> {
    await expect.poll(() => this.#text, { timeout: 90_000, interval: 50 }).toMatch(pattern);
    return pattern.exec(this.#text)?.[1] ?? '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#shell.exitCode !== null) return;
    const ended = once(this.#shell, 'exit');
    process.kill(-(this.#shell.pid ?? 0), 'SIGINT');
    await ended;
  }
}

describe.skipIf(PYTHON_PACKAGES_ABSENT !== undefined)(
  `${PAGE} (${PYTHON_PACKAGES_ABSENT ?? 'tritonclient'})`,
  () => {
    it('does what it says, word for word', async () => {
      const page = readFileSync(new URL(`../../${PAGE}`, import.meta.url), 'utf8');
      const [up = '', serve = ''] = blocksOf(page, 'sh');
      const [program = ''] = blocksOf(page, 'python');
      await using folder = await createTestFolder();
      mkdirSync(path.join(folder.path, 'models/simple/1'), { recursive: true });
      writeFileSync(path.join(folder.path, 'models/simple/1/model.onnx'), simpleModel());
      writeFileSync(path.join(folder.path, 'models/simple/config.pbtxt'), CONFIG);
      const command = path.join(folder.path, 'bin/swarm');
      mkdirSync(path.dirname(command));
      writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' '${SWARM}' "$@"\n`);
      chmodSync(command, 0o755);

      await using swarm = new Terminal(folder.path, up);
      const join = await swarm.says(/(export SWARM_BOOTSTRAP=\S+)/);
      const lines = serve.replace(/^export SWARM_BOOTSTRAP=.*$/m, join);
      expect(lines).not.toBe(serve);
      await using gateway = new Terminal(folder.path, lines);
      const address = await gateway.says(/http +http:\/\/(\S+)/);
      const ready = async () => (await fetch(`http://${address}/v2/health/ready`)).status;
      await expect.poll(ready, { timeout: 30_000 }).toBe(200);

      const moved = program.replace('localhost:8000', address);
      expect(moved).not.toBe(program);
      const { printed } = (await runPython('run_program.py', { program: moved, page: PAGE })) as {
        printed: string;
      };
      expect(page).toContain(`It prints \`${printed.trim()}\``);
    });
  },
);
