import type {
  InferenceBackend,
  LoadedModel,
  LoadOptions,
  ModelFiles,
  RunOptions,
  RunResult,
} from '../../node/backend/backend.ts';
import { createOnnxBackend } from '../../node/backend/onnx-backend.ts';
import { type NamedTensor, Tensor } from '../../protocols/tensor.ts';
import { WrappedModel } from './wrapped-model.ts';

/** What a liar makes of the right outputs, at once or when it likes. */
export type Lie = (
  outputs: readonly NamedTensor[],
) => readonly NamedTensor[] | Promise<readonly NamedTensor[]>;

/** Adds to every number of every FP32 output. */
export function addTo(offset: number): Lie {
  return (outputs) =>
    outputs.map(({ name, tensor }) => ({
      name,
      tensor: Tensor.from(
        tensor.datatype,
        tensor.shape,
        (tensor.toArray() as number[]).map((value) => value + offset),
      ),
    }));
}

/** A node's real backend, between whose answers and the node somebody sits who may lie. */
export class Liar {
  /** Undefined while it tells the truth. */
  lie: Lie | undefined;
  /** Answers it gave, lies or not. */
  answers = 0;
  /** What it says it runs on when a model is loaded; undefined for the truth. */
  provider: string | undefined;

  /** A backend for one node, whose settings of its own are not of it. */
  createBackend(): InferenceBackend {
    return new LyingBackend(this);
  }
}

class LyingBackend implements InferenceBackend {
  readonly #liar: Liar;
  readonly #backend: InferenceBackend;

  constructor(liar: Liar) {
    this.#liar = liar;
    this.#backend = createOnnxBackend({ threads: 1 });
  }

  providers(...options: Parameters<InferenceBackend['providers']>): Promise<readonly string[]> {
    return this.#backend.providers(...options);
  }

  async load(files: ModelFiles, options?: LoadOptions): Promise<LoadedModel> {
    return new LyingModel(this.#liar, await this.#backend.load(files, options));
  }

  stop(): Promise<void> {
    return this.#backend.stop();
  }
}

class LyingModel extends WrappedModel {
  readonly #liar: Liar;

  constructor(liar: Liar, below: LoadedModel) {
    super(below);
    this.#liar = liar;
  }

  override get provider(): string {
    return this.#liar.provider ?? super.provider;
  }

  async run(inputs: readonly NamedTensor[], options: RunOptions): Promise<RunResult> {
    const result = await this.below.run(inputs, options);
    this.#liar.answers += 1;
    const outputs = (await this.#liar.lie?.(result.outputs)) ?? result.outputs;
    return { ...result, outputs };
  }
}
