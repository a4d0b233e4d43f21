import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type CommandResult, type Daemon, runSwarm, startDaemon } from './swarm-command.ts';
import { createTestFolder } from './test-folder.ts';

const LISTEN = ['--listen', '/ip4/127.0.0.1/tcp/0'];

/** A swarm of separate processes, each with a data folder of its own; all of it ends with the scope that holds it. */
export class ProcessSwarm implements AsyncDisposable {
  readonly folder: string;
  readonly bootstrap: Daemon;
  readonly #testFolder: AsyncDisposable;
  readonly #daemons: Daemon[] = [];

  /** Starts the bootstrap server. */
  static async create(): Promise<ProcessSwarm> {
    const folder = await createTestFolder();
    const data = path.join(folder.path, 'bootstrap');
    const bootstrap = await startDaemon(['bootstrap', '--data', data, ...LISTEN], folder.path);
    return new ProcessSwarm(folder, bootstrap);
  }

  private constructor(folder: AsyncDisposable & { readonly path: string }, bootstrap: Daemon) {
    this.#testFolder = folder;
    this.folder = folder.path;
    this.bootstrap = bootstrap;
  }

  /** The words by which a command joins this swarm. */
  get join(): string[] {
    return ['--bootstrap', this.bootstrap.address];
  }

  /** Starts a node, or the one of this name again in the data folder it had. */
  async startNode(name: string, ...args: string[]): Promise<Daemon> {
    const node = await startDaemon(
      [
        ...['node', ...this.join, ...LISTEN, '--data', path.join(this.folder, name)],
        ...[
          '--allow-publisher',
          'any',
          '--max-cores',
          '1',
          '--threads',
          '1',
          '--announce-interval',
          '2000',
          // What is tested elsewhere stays where it was published; who tests it says so, and the last word counts.
          '--scaling',
          'off',
          ...args,
        ],
      ],
      this.folder,
    );
    this.#daemons.push(node);
    return node;
  }

  /** Runs a command that joins this swarm. */
  async run(args: readonly string[], input = ''): Promise<CommandResult> {
    return runSwarm([...args, ...this.join], { cwd: this.folder, input });
  }

  /** Runs a command that joins nothing, in the folder of this swarm. */
  async runAlone(args: readonly string[]): Promise<CommandResult> {
    return runSwarm(args, { cwd: this.folder });
  }

  /** Publishes a package of these files, from a process that has ended when this resolves; throws what it said when it fails. */
  async publish(
    name: string,
    files: Readonly<Record<string, Uint8Array | string>>,
    args: readonly string[] = [],
  ): Promise<{ reference: string; version: string; sequence: number; replicas: string[] }> {
    const folder = path.join(this.folder, `model-${name}`);
    await mkdir(folder, { recursive: true });
    for (const [file, content] of Object.entries(files)) {
      await writeFile(path.join(folder, file), content);
    }
    const data = path.join(this.folder, 'publisher');
    const publish = ['publish', folder, '--name', name, '--data', data, '--json'];
    const result = await this.run([...publish, ...args]);
    if (result.code !== 0) throw new Error(`${result.stdout}\n${result.stderr}`);
    const { publisher, version, sequence, replicas } = result.events.at(-1) as {
      publisher: string;
      version: string;
      sequence: number;
      replicas: string[];
    };
    return { reference: `${publisher}/${name}`, version, sequence, replicas };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#daemons.map((daemon) => daemon.stop()));
    await this.bootstrap.stop();
    await this.#testFolder[Symbol.asyncDispose]();
  }
}
