import type { Datatype } from '../../protocols/datatype.ts';
import type { TensorSpec } from '../../protocols/types.ts';
import { noise } from '../../test/support/noise.ts';
import {
  buildModel,
  type InitializerInit,
  type NodeInit,
} from '../../test/support/onnx-builder.ts';

/** A model of the benchmark, made here: seeded weights, nothing to download. */
export interface DeviceModel {
  readonly name: string;
  /** Of one item of its FP32 input; a batch dimension comes before it. */
  readonly itemShape: readonly number[];
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly bytes: Uint8Array;
}

/** One of each kind that people serve, by cost of an item: 0.3, 180 and 400 million multiplications. */
export function deviceModels(): readonly DeviceModel[] {
  return [perceptron(), convolutions(), encoder()];
}

/** 128 → 512 → 512 → 16, as a recommender's last stage. */
function perceptron(): DeviceModel {
  const widths = [128, 512, 512, 16];
  const graph = new GraphWriter();
  let value = 'x';
  for (let layer = 1; layer < widths.length; layer += 1) {
    const [from = 0, to = 0] = [widths[layer - 1], widths[layer]];
    value = graph.dense(value, from, to, layer === widths.length - 1 ? undefined : 'Relu');
  }
  return graph.model('mlp', [128], value, 16);
}

/** Six 3 × 3 convolutions over 64 × 64 pixels, twice halved, as a small image classifier. */
function convolutions(): DeviceModel {
  const graph = new GraphWriter();
  let value = 'x';
  let channels = 3;
  for (const [index, width] of [32, 32, 64, 64, 128, 128].entries()) {
    value = graph.convolution(value, channels, width, index % 2 === 1 ? 2 : 1);
    channels = width;
  }
  const pooled = graph.node('GlobalAveragePool', [value]);
  return graph.model(
    'cnn',
    [3, 64, 64],
    graph.dense(graph.node('Flatten', [pooled]), 128, 100),
    100,
  );
}

/** Two layers of a transformer's encoder, 128 positions of 256 numbers, 4 heads, as a text embedding. */
function encoder(): DeviceModel {
  const [positions, width, heads] = [128, 256, 4];
  const graph = new GraphWriter();
  let value = 'x';
  for (let layer = 0; layer < 2; layer += 1) {
    const split = (from: string, order: readonly number[]) =>
      graph.node(
        'Transpose',
        [graph.reshape(graph.dense(from, width, width), [0, positions, heads, width / heads])],
        {
          perm: { ints: order },
        },
      );
    const [query, keys, values] = [
      split(value, [0, 2, 1, 3]),
      split(value, [0, 2, 3, 1]),
      split(value, [0, 2, 1, 3]),
    ];
    const scores = graph.node('Mul', [
      graph.node('MatMul', [query, keys]),
      graph.scalar((width / heads) ** -0.5),
    ]);
    const mixed = graph.node('MatMul', [
      graph.node('Softmax', [scores], { axis: { int: -1 } }),
      values,
    ]);
    const merged = graph.node('Transpose', [mixed], { perm: { ints: [0, 2, 1, 3] } });
    const attended = graph.dense(graph.reshape(merged, [0, positions, width]), width, width);
    const first = graph.normalise(graph.node('Add', [value, attended]), width);
    const inner = graph.dense(graph.dense(first, width, 4 * width, 'Relu'), 4 * width, width);
    value = graph.normalise(graph.node('Add', [first, inner]), width);
  }
  const mean = graph.node('ReduceMean', [value], { axes: { ints: [1] }, keepdims: { int: 0 } });
  return graph.model('encoder', [positions, width], mean, width);
}

/** Writes a graph node by node; each method returns the name of the value it made. */
class GraphWriter {
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

  model(name: string, itemShape: readonly number[], output: string, width: number): DeviceModel {
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
