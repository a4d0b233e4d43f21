import type { Datatype } from '../protocols/datatype.ts';
import type { TensorSpec } from '../protocols/types.ts';
import { noise } from '../test/support/noise.ts';
import { buildModel, type InitializerInit, type NodeInit } from '../test/support/onnx-builder.ts';

/** A model of a benchmark, made on the spot: seeded weights, nothing to download. */
export interface BenchModel {
  readonly name: string;
  /** Of one item of its FP32 input; a batch dimension comes before it. */
  readonly itemShape: readonly number[];
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly bytes: Uint8Array;
}

/** Writes a graph node by node; each method returns the name of the value it made. */
export class GraphWriter {
  readonly #nodes: NodeInit[] = [];
  readonly #initializers: InitializerInit[] = [];

  node(
    op: string,
    inputs: readonly string[],
    attributes: NonNullable<NodeInit['attributes']> = {},
  ): string {
    const output = `v${this.#nodes.length}`;
    this.#nodes.push({ op, inputs, outputs: [output], attributes });
    return output;
  }

  dense(value: string, from: number, to: number, activation?: string): string {
    const product = this.node('MatMul', [value, this.#weights([from, to], from)]);
    const sum = this.node('Add', [product, this.#weights([to], from)]);
    return activation === undefined ? sum : this.node(activation, [sum]);
  }

  convolution(value: string, from: number, to: number, stride: number): string {
    const weights = this.#weights([to, from, 3, 3], from * 9);
    const made = this.node('Conv', [value, weights], {
      kernel_shape: { ints: [3, 3] },
      pads: { ints: [1, 1, 1, 1] },
      strides: { ints: [stride, stride] },
    });
    return this.node('Relu', [made]);
  }

  normalise(value: string, width: number): string {
    return this.node('LayerNormalization', [
      value,
      this.#weights([width], 1),
      this.#weights([width], 1),
    ]);
  }

  reshape(value: string, shape: readonly number[]): string {
    return this.node('Reshape', [value, this.#constant('INT64', [shape.length], shape)]);
  }

  scalar(value: number): string {
    return this.#constant('FP32', [], [value]);
  }

  model(name: string, itemShape: readonly number[], output: string, width: number): BenchModel {
    const inputs: TensorSpec[] = [{ name: 'x', datatype: 'FP32', shape: ['batch', ...itemShape] }];
    const outputs: TensorSpec[] = [{ name: output, datatype: 'FP32', shape: ['batch', width] }];
    const bytes = buildModel({
      inputs,
      outputs,
      nodes: this.#nodes,
      initializers: this.#initializers,
    });
    return { name, itemShape, inputs, outputs, bytes };
  }

  /** Seeded numbers within ±1/√fan, so that values neither vanish nor explode through the layers. */
  #weights(shape: readonly number[], fan: number): string {
    const count = shape.reduce((product, size) => product * size, 1);
    const words = new Int32Array(noise(count * 4, this.#initializers.length + 1).slice().buffer);
    const bound = 2 ** 31 * Math.sqrt(fan);
    const raw = new Uint8Array(Float32Array.from(words, (word) => word / bound).buffer);
    const name = `w${this.#initializers.length}`;
    this.#initializers.push({ name, datatype: 'FP32', shape, data: raw });
    return name;
  }

  #constant(datatype: Datatype, shape: readonly number[], data: readonly number[]): string {
    const name = `w${this.#initializers.length}`;
    this.#initializers.push({ name, datatype, shape, data });
    return name;
  }
}
