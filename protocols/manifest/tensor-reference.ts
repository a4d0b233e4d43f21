import { quoted } from '../quoted.ts';
import type { TensorSpec } from '../types.ts';
import { type Answer, answerOutputs } from './answer.ts';
import type { Embedding } from './embedding.ts';
import type { Preprocessing } from './preprocessing.ts';

/** A field that names a tensor which the model does not have. */
export interface UnknownTensor {
  readonly path: string[];
  readonly message: string;
}

/** What is wrong with the tensors that preprocessing, answer and embedding refer to; in a manifest and in a package file alike. */
export function findUnknownTensors(
  settings: {
    readonly preprocessing?: Preprocessing | undefined;
    readonly answer?: Answer | undefined;
    readonly embedding?: Embedding | undefined;
  },
  model: Readonly<Record<'inputs' | 'outputs', readonly Pick<TensorSpec, 'name'>[]>>,
): UnknownTensor[] {
  const { preprocessing, answer, embedding } = settings;
  const unknown: UnknownTensor[] = [];
  if (preprocessing !== undefined && !names(model.inputs).has(preprocessing.input)) {
    const message = `${quoted(preprocessing.input)} is not an input of the model`;
    unknown.push({ path: ['preprocessing', 'input'], message });
  }
  for (const output of answer === undefined ? [] : answerOutputs(answer)) {
    if (names(model.outputs).has(output)) continue;
    unknown.push({ path: ['answer'], message: `${quoted(output)} is not an output of the model` });
  }
  if (embedding !== undefined && !names(model.outputs).has(embedding.output)) {
    const message = `${quoted(embedding.output)} is not an output of the model`;
    unknown.push({ path: ['embedding', 'output'], message });
  }
  return unknown;
}

function names(tensors: readonly Pick<TensorSpec, 'name'>[]): ReadonlySet<string> {
  return new Set(tensors.map(({ name }) => name));
}
