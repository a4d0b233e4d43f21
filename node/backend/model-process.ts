import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { getCompileCacheDir } from 'node:module';
import type { Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { childEnvironment } from './child-environment.ts';
import { hostIsolation, type Isolation } from './isolation.ts';
import { encodePipeHeader, PipeFrameDecoder, type PipeFrame } from './pipe-frame.ts';
import type { ProcessExit } from './process-exit.ts';

/** Characters kept of what a child writes to standard error. */
const MAX_STDERR = 16 * 1024;

/** Up to here the pieces of a frame are copied together: each write costs more than that. */
const COPY_BYTES = 16 * 1024;

export interface ModelProcessInit {
  /** Folder under which the process gets an empty one of its own as its working directory. */
  readonly workDir: string;
  /** Resident bytes past which its watchdog kills it; 0 for no bound. */
  readonly maxMemoryBytes: number;
  /** Bytes of one frame it may send. */
  readonly maxFrameBytes: number;
  /** Added to its scheduling priority, as by `nice`. */
  readonly niceness: number;
  /** How it is shut in. @default as far as this host allows */
  readonly isolation?: Isolation | undefined;
  /** Folders that it may read where it is confined to its own. @default [] */
  readonly readable?: readonly string[] | undefined;
  /**
   * Whether what it runs is the node's own. Then, where it is confined, it may write compiled code into the cache that later processes
   * start from; others only read it, for the node starts from it too. @default false
   */
  readonly trusted?: boolean | undefined;
  /** Whether its working directory, with what it has left there, outlives it. @default false */
  readonly keepFolder?: boolean | undefined;
  /** The only GPU it sees. @default those that this process sees */
  readonly device?: string | undefined;
}

/**
 * One child process and the framed pipe to it. It ends by {@link kill}, by itself, or with this process, however that ends:
 * the child sees its pipe close, and its watchdog thread sees its parent change.
 */
export class ModelProcess {
  /** Called for each frame, in order; not after {@link exited} resolves. */
  onFrame: (frame: PipeFrame) => void = () => {};
  /** Resolves when the process is gone and all it sent has been read. Never rejects. */
  readonly exited: Promise<ProcessExit>;
  readonly #child: ChildProcess;
  readonly #pipe: Socket;
  /** True until the end of the turn in which something was sent. */
  #corked = false;
  #stderr = '';
  /** What it did against the pipe's protocol. */
  #breach: string | undefined;

  /** Absolute path of its working directory. */
  readonly folder: string;

  private constructor(
    child: ChildProcess,
    directory: string,
    { maxFrameBytes, keepFolder = false }: ModelProcessInit,
  ) {
    this.#child = child;
    this.folder = path.resolve(directory);
    this.#pipe = child.stdio[3] as Socket;
    const decoder = new PipeFrameDecoder(maxFrameBytes);
    this.#pipe.on('data', (chunk: Buffer) => {
      try {
        for (const frame of decoder.push(chunk)) this.onFrame(frame);
      } catch (error) {
        // A child that breaks its protocol is not worth talking to.
        this.#fail(error);
      }
    });
    // A dying child breaks the pipe; its exit tells the rest.
    this.#pipe.on('error', () => {});
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString('latin1')).slice(-MAX_STDERR);
    });
    this.exited = this.#watch().then(async (exit) => {
      if (keepFolder) return exit;
      await rm(directory, { recursive: true, force: true }).catch(() => {
        // An empty folder that cannot be removed harms nobody; the backend empties its work folder when it starts.
      });
      return exit;
    });
  }

  /** Starts a process. It waits for a load frame. */
  static async start(init: ModelProcessInit): Promise<ModelProcess> {
    const isolation = init.isolation ?? (await hostIsolation());
    const directory = await mkdtemp(path.join(init.workDir, 'model-'));
    const entry = new URL(`./child/main${path.extname(import.meta.url)}`, import.meta.url);
    const flags = ['--expose-gc', '--no-warnings'];
    // Node before 22.18 runs the checkout's .ts files only when told to.
    if (entry.href.endsWith('.ts') && !process.features.typescript) {
      flags.push('--experimental-strip-types');
    }
    const launcher = launcherOf(isolation, init, directory);
    const program = [process.execPath, ...flags, fileURLToPath(entry)];
    const [command = '', ...args] = [...launcher, ...program];
    const child = spawn(command, [...args, String(process.pid), String(init.maxMemoryBytes)], {
      cwd: directory,
      env: {
        ...childEnvironment(process.env, directory, getCompileCacheDir()),
        ...(init.device === undefined ? {} : { CUDA_VISIBLE_DEVICES: init.device }),
      },
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
      windowsHide: true,
    });
    lowerPriority(child.pid, init.niceness);
    return new ModelProcess(child, directory, init);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /**
   * Sends one frame; the pieces must not be written to until it is answered. `onSent` is called when the last of it has left,
   * and not at all when the pipe breaks.
   */
  send(type: number, id: number, pieces: readonly Uint8Array[], onSent?: () => void): void {
    const payloadBytes = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
    const whole = [encodePipeHeader(type, id, payloadBytes), ...pieces];
    const parts = payloadBytes <= COPY_BYTES ? [Buffer.concat(whole)] : whole;
    const last = parts.length - 1;
    this.#cork();
    for (const [index, part] of parts.entries()) {
      if (index < last) this.#pipe.write(part);
      else {
        this.#pipe.write(part, (error) => {
          if (error == null) onSent?.();
        });
      }
    }
  }

  /** What one turn of the event loop sends is one system call. */
  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#pipe.cork();
    process.nextTick(() => {
      this.#corked = false;
      this.#pipe.uncork();
    });
  }

  /** Ends the process at once, whatever it does. Idempotent. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #fail(error: unknown): void {
    this.#breach ??= error instanceof Error ? error.message : String(error);
    this.#pipe.destroy();
    this.kill();
  }

  async #watch(): Promise<ProcessExit> {
    return new Promise((resolve) => {
      // Not 'exit': answers sent before the end may still be in the pipe then.
      this.#child.once('close', (code, signal) =>
        resolve({ code, signal, stderr: this.#stderr, breach: this.#breach }),
      );
      this.#child.once('error', ({ message }) => {
        if (this.#child.pid !== undefined) return;
        resolve({ code: null, signal: null, stderr: `Error: ${message}`, breach: undefined });
      });
    });
  }
}

function launcherOf(
  { launcher, confine }: Isolation,
  { readable = [], trusted = false }: ModelProcessInit,
  directory: string,
): readonly string[] {
  if (confine === undefined) return launcher;
  const cache = [getCompileCacheDir() ?? []].flat();
  return confine({
    folder: path.resolve(directory),
    writable: trusted ? cache : [],
    readable: trusted ? readable : [...readable, ...cache],
  });
}

function lowerPriority(pid: number | undefined, niceness: number): void {
  if (pid === undefined || niceness === 0) return;
  try {
    os.setPriority(pid, niceness);
  } catch {
    // Already gone, or the system forbids it: the model then runs at our own priority.
  }
}
