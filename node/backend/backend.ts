import type { SessionOptions } from '../../protocols/manifest/index.ts';
import type { NamedTensor } from '../../protocols/tensor.ts';
import type { AbortOptions, TensorSpec, VersionCid } from '../../protocols/types.ts';

/** A version's files on this host's disk, as the publisher gave them. */
export interface ModelFiles {
  readonly cid: VersionCid;
  /** Absolute path of a folder that holds this version's files and nothing else: a model may read what lies beside it. */
  readonly directory: string;
  /** File name of the model inside `directory`, such as `model.onnx`. */
  readonly entry: string;
  /** What the manifest declares; a model that differs in a name or datatype is refused. */
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

export interface LoadOptions extends AbortOptions {
  /** Execution providers to try for this model, the best first. @default those of {@link InferenceBackend.providers} */
  readonly providers?: readonly string[] | undefined;
  /** How the publisher wants its sessions made; threads beyond the backend's own are not given. */
  readonly session?: SessionOptions | undefined;
  /**
   * Whether the model may be loaded in a form that this host has derived from its files. Where it is, the caller has the answers
   * checked, and says {@link InferenceBackend.refuseDerived} when they are wrong. @default false
   */
  readonly derived?: boolean | undefined;
  /** Threads inside one operator; more than the backend's own are not given. @default the backend's */
  readonly threads?: number | undefined;
  /** The only GPU that the model's process sees, as `CUDA_VISIBLE_DEVICES` names it. @default those that this process sees */
  readonly device?: string | undefined;
}

/**
 * Where a loaded model stands.
 *
 * ```
 * ready ──crash, kill──▶ restarting ──reloaded──▶ ready
 *   │                        │ too many crashes in a row
 *   │                        ▼
 *   └──unload──▶ unloaded  failed          (unload leads to unloaded from every state)
 * ```
 */
export type ModelState = 'ready' | 'restarting' | 'failed' | 'unloaded';

export interface RunOptions extends AbortOptions {
  /** Names of the outputs wanted; undefined or empty for all. */
  readonly outputs?: readonly string[] | undefined;
  /** Milliseconds this execution may take once it has begun; past them its process is killed. */
  readonly limitMs: number;
  /** Called when the execution begins: at once, or when those that were handed in before it are done; again when it is retried. */
  readonly onBegin?: (() => void) | undefined;
}

export interface RunResult {
  /** In the model's order, or in that of `RunOptions.outputs`; shapes are the real ones, whatever the model declared. */
  readonly outputs: readonly NamedTensor[];
  /** Milliseconds inside the model, without queueing and transfer. */
  readonly executeMs: number;
}

/** A model that is in memory and answers. */
export interface LoadedModel {
  /** As the runtime reports them. */
  readonly inputs: readonly TensorSpec[];
  /** Outputs that can be asked for; sequences, maps and datatypes that cannot travel are left out. */
  readonly outputs: readonly TensorSpec[];
  /** Execution provider in use, such as `cpu` or `cuda`. */
  readonly provider: string;
  readonly state: ModelState;
  /** Resident bytes of the process that holds the model, as last seen; null when unknown. */
  readonly memoryBytes: number | null;
  /** Bytes of weights that its process reads in place from a file: in memory once for all processes of the version. @default 0 */
  readonly mappedBytes?: number | undefined;
  /** Process id of its process, to measure it by; undefined while there is none. */
  readonly pid?: number | undefined;
  /** Runs that execute at the same time; further ones wait for one of these. @default 1 */
  readonly parallel?: number | undefined;
  /**
   * Runs that may be handed in beside those, so that their inputs lie ready when one of these ends. A model that takes any calls
   * {@link RunOptions.onBegin}. @default 0
   */
  readonly ahead?: number | undefined;

  /** Calls back after each change of `state`, with a sentence on why for the log. */
  onStateChange(callback: (state: ModelState, reason: string) => void): void;

  /**
   * Executes once. Runs of one model begin in the order of the calls, {@link parallel} at a time; `inputs` must not be written to
   * until the promise settles. An aborted `signal` rejects with its reason and abandons the result: it never stops the
   * process, which others share.
   *
   * @throws {ERR_INVALID_INPUT} when the tensors do not fit the model.
   * @throws {ERR_EXECUTION} when the model fails, crashes, or is stopped past `limitMs`.
   * @throws {ERR_LIMIT} when the outputs are larger than the backend allows.
   * @throws {ERR_BUSY} when thousands of runs wait already.
   * @throws {ERR_NOT_FOUND} when the model is unloaded or has failed, before or meanwhile.
   */
  run(inputs: readonly NamedTensor[], options: RunOptions): Promise<RunResult>;

  /** Frees the memory; runs still under way reject. Idempotent. Drain first to lose none. */
  unload(): Promise<void>;
}

/** Executes models outside this process. Nothing a model does may harm the process that holds the backend. */
export interface InferenceBackend {
  /** Execution providers that work on this host, the best first. May wait for them to be found out, for a bounded time. */
  providers(options?: AbortOptions): Promise<readonly string[]>;

  /**
   * Loads a model and resolves when it can answer. The caller owns the result and unloads it.
   *
   * @throws {ERR_INVALID_MODEL} when the files cannot be served.
   * @throws {ERR_CONFIG} when the runtime is not installed.
   * @throws {ERR_DEADLINE} when loading takes longer than the backend allows.
   * @throws {ERR_LIMIT} when it takes more memory than the backend allows.
   * @throws {ERR_STORE} when the disk does not give the files.
   * @throws {ERR_EXECUTION} when its process was killed from outside or could not be started.
   */
  load(model: ModelFiles, options?: LoadOptions): Promise<LoadedModel>;

  /**
   * The form that was derived from a version's files answered wrongly: it is not used again.
   *
   * @returns false when there was none: then it was the files that answered
   */
  refuseDerived?(cid: VersionCid, reason: string): Promise<boolean>;

  /** Unloads every model and waits for their processes to end. Idempotent. */
  stop(): Promise<void>;
}
