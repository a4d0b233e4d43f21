/**
 * Strings in, typed outputs out: one call classifies a whole batch of sentences.
 *
 * Usage: node examples/classify-text.ts <bootstrap> <publisher>/language [sentence…]
 */

import { createClient, isSwarmError, Tensor } from 'gpu-swarm';

const [bootstrap, ref, ...given] = process.argv.slice(2);
if (bootstrap === undefined || ref === undefined) {
  console.error('usage: classify-text.ts <bootstrap> <publisher>/language [sentence…]');
  process.exit(2);
}

const sentences =
  given.length > 0
    ? given
    : [
        'The next train to the coast leaves in ten minutes.',
        'El próximo tren a la costa sale en diez minutos.',
        'Der nächste Zug an die Küste fährt in zehn Minuten.',
        'Le prochain train pour la côte part dans dix minutes.',
      ];

try {
  await using client = await createClient({ bootstrap: [bootstrap] });

  const text = Tensor.from('BYTES', [sentences.length], sentences);
  const { outputs, node, latencyMs } = await client.infer(ref, { text }, { deadlineMs: 10_000 });

  // A tensor knows its datatype: strings() reads BYTES, data is the typed array of numbers.
  const labels = outputs['label']?.strings() ?? [];
  const probabilities = outputs['probabilities']?.data as Float32Array;
  const width = probabilities.length / sentences.length;
  for (const [row, sentence] of sentences.entries()) {
    const best = Math.max(...probabilities.subarray(row * width, (row + 1) * width));
    console.log(`${labels[row]} (${(100 * best).toFixed(0)} %): ${sentence}`);
  }
  console.log(`answered by ${node} in ${latencyMs.toFixed(1)} ms`);
} catch (error) {
  if (!isSwarmError(error)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
