import type { LoadedModel, ModelState, RunOptions, RunResult } from '../../node/backend/backend.ts';
import type { NamedTensor } from '../../protocols/tensor.ts';
import type { TensorSpec } from '../../protocols/types.ts';

/** A loaded model that runs on another one: what a kind of it does differently is its own to say. */
export abstract class WrappedModel implements LoadedModel {
  protected readonly below: LoadedModel;

  constructor(below: LoadedModel) {
    this.below = below;
  }

  get inputs(): readonly TensorSpec[] {
    return this.below.inputs;
  }

  get outputs(): readonly TensorSpec[] {
    return this.below.outputs;
  }

  get provider(): string {
    return this.below.provider;
  }

  get state(): ModelState {
    return this.below.state;
  }

  get memoryBytes(): number | null {
    return this.below.memoryBytes;
  }

  get pid(): number | undefined {
    return this.below.pid;
  }

  onStateChange(callback: (state: ModelState, reason: string) => void): void {
    this.below.onStateChange(callback);
  }

  abstract run(inputs: readonly NamedTensor[], options: RunOptions): Promise<RunResult>;

  unload(): Promise<void> {
    return this.below.unload();
  }
}
