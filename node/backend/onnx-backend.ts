import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { InvalidModelError } from '../../protocols/errors.ts';
import type { AbortOptions, VersionCid } from '../../protocols/types.ts';
import type { InferenceBackend, LoadedModel, LoadOptions, ModelFiles } from './backend.ts';
import { type ModelLoaderInit, prepackModel, startModel } from './model-loader.ts';
import { type OnnxBackendInit, type ResolvedOnnxInit, resolveOnnxInit } from './onnx-init.ts';
import { OnnxModel } from './onnx-model.ts';
import type { PrepackedModel } from './prepacked-cache.ts';

export type { OnnxBackendInit } from './onnx-init.ts';

/**
 * ONNX Runtime, each model in a child process of its own.
 *
 * @throws {ERR_CONFIG} when a setting is out of range.
 */
export function createOnnxBackend(init: OnnxBackendInit = {}): InferenceBackend {
  return new OnnxBackend(resolveOnnxInit(init));
}

class OnnxBackend implements InferenceBackend {
  readonly #init: ResolvedOnnxInit;
  readonly #models = new Set<OnnxModel>();
  /** Loads under way; each settles before `stop` does. */
  readonly #loads = new Set<Promise<unknown>>();
  readonly #stopping = new AbortController();
  #workDir: Promise<string> | undefined;

  constructor(init: ResolvedOnnxInit) {
    this.#init = init;
  }

  async providers(options: AbortOptions = {}): Promise<readonly string[]> {
    const { providers } = this.#init;
    return typeof providers === 'function' ? await providers(options) : providers;
  }

  async load(files: ModelFiles, options: LoadOptions = {}): Promise<LoadedModel> {
    if (path.basename(files.entry) !== files.entry || files.entry.includes('\\')) {
      throw new InvalidModelError(
        `model file ${JSON.stringify(files.entry.slice(0, 80))} is not a plain file name`,
      );
    }
    const loading = this.#load(files, options);
    const settled = loading.catch(() => {
      // The caller hears of it; this copy only keeps `stop` waiting.
    });
    this.#loads.add(settled);
    try {
      return await loading;
    } finally {
      this.#loads.delete(settled);
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new DOMException('the backend stops', 'AbortError'));
    await Promise.all(this.#loads);
    await Promise.all([...this.#models].map(async (model) => model.unload()));
    const workDir = await this.#workDir;
    if (workDir !== undefined) await rm(workDir, { recursive: true, force: true });
  }

  async refuseDerived(cid: VersionCid, reason: string): Promise<boolean> {
    return (await this.#init.prepackedCache?.refuse(cid, reason)) ?? false;
  }

  async #prepacked(
    files: ModelFiles,
    init: Omit<ModelLoaderInit, 'prepacked'>,
    signal: AbortSignal,
  ): Promise<PrepackedModel | undefined> {
    return this.#init.prepackedCache?.of(files, {
      optimization: init.session?.graphOptimizationLevel,
      signal,
      make: async () => prepackModel(files, init, signal),
    });
  }

  async #load(
    files: ModelFiles,
    { signal, providers, session = {}, device, derived = false, ...options }: LoadOptions,
  ): Promise<OnnxModel> {
    this.#stopping.signal.throwIfAborted();
    this.#workDir ??= makeWorkDir(this.#init.workDir);
    const { threads: most } = this.#init;
    const threads = Math.min(most, options.threads ?? most, session.intraOpThreads ?? most);
    const init = { ...this.#init, workDir: await this.#workDir, threads, session, device };
    const stopping = this.#stopping.signal;
    const either = signal === undefined ? stopping : AbortSignal.any([signal, stopping]);
    const tried = providers ?? (await this.providers({ signal: either }));
    const prepacked =
      derived && tried.includes('cpu') ? await this.#prepacked(files, init, either) : undefined;
    const loader = { ...init, prepacked };
    const started = await startModel(files, tried, loader, either);
    const model = new OnnxModel(files, started, loader);
    this.#models.add(model);
    model.onStateChange((state) => {
      if (state === 'unloaded') this.#models.delete(model);
    });
    return model;
  }
}

async function makeWorkDir(workDir: string | undefined): Promise<string> {
  if (workDir === undefined) return mkdtemp(path.join(os.tmpdir(), 'gpu-swarm-'));
  // What is in it was left by a process that was killed.
  await rm(workDir, { recursive: true, force: true });
  await mkdir(workDir, { recursive: true, mode: 0o700 });
  return path.resolve(workDir);
}
