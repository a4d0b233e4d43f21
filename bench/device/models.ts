import { type BenchModel, GraphWriter } from '../graph-writer.ts';

/** One of each kind that people serve, by cost of an item: 0.3, 180 and 400 million multiplications. */
export function deviceModels(): readonly BenchModel[] {
  return [perceptron(), convolutions(), encoder()];
}

/** 128 → 512 → 512 → 16, as a recommender's last stage. */
function perceptron(): BenchModel {
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
function convolutions(): BenchModel {
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
function encoder(): BenchModel {
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
