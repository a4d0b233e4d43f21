import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { OnnxCase } from './onnx-case.ts';

const CHILD = fileURLToPath(new URL('./runtime-child.ts', import.meta.url));

/** Milliseconds one test may take in ONNX Runtime. */
const LIMIT_MS = 60_000;

/** What ONNX Runtime for Node does with a test on its CPU provider, without us. */
export interface RuntimeVerdict {
  readonly outcome: 'right' | 'wrong' | 'not loaded' | 'not run' | 'dies' | 'hangs';
  /** In the runtime's words; empty when it is right. */
  readonly reason: string;
}

/** ONNX Runtime alone, in a process that is replaced when a test kills it. */
export class PlainRuntime implements AsyncDisposable {
  #child: ChildProcess | undefined;

  async judge(test: OnnxCase, signal: AbortSignal): Promise<RuntimeVerdict> {
    this.#child ??= fork(CHILD, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    const child = this.#child;
    const ended = new AbortController();
    const limit = AbortSignal.any([signal, ended.signal, AbortSignal.timeout(LIMIT_MS)]);
    try {
      child.send(test);
      const [verdict] = await Promise.race([
        once(child, 'message', { signal: limit }),
        once(child, 'exit', { signal: limit }).then(([code, killer]): [RuntimeVerdict] => {
          this.#child = undefined;
          return [{ outcome: 'dies', reason: String(killer ?? code) }];
        }),
      ]);
      return verdict as RuntimeVerdict;
    } catch (error) {
      signal.throwIfAborted();
      if (!limit.aborted) throw error;
      await this[Symbol.asyncDispose]();
      return { outcome: 'hangs', reason: `no answer after ${LIMIT_MS} ms` };
    } finally {
      ended.abort();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}
