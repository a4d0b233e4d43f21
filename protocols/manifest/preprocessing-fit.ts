import type { DeclaredDimension, TensorSpec } from '../types.ts';
import { formatShape } from '../tensor.ts';
import { type Preprocessing, resolvePreprocessing } from './preprocessing.ts';

/** A field of `preprocessing` that the input it is for cannot take. */
export interface PreprocessingFault {
  readonly field: 'input' | 'mean' | 'std';
  readonly message: string;
}

/** What is wrong between the preprocessing and the input it makes: the tensor that every picture becomes must fit it. */
export function findPreprocessingFaults(
  preprocessing: Preprocessing,
  input: TensorSpec,
): PreprocessingFault[] {
  const { width, height, layout, mean, std, channels } = resolvePreprocessing(preprocessing);
  const count = channels === 'gray' ? 1 : 3;
  const made = layout === 'NCHW' ? [1, count, height, width] : [1, height, width, count];
  const faults: PreprocessingFault[] = [];
  if (input.datatype !== 'FP32' || !fits(made, input.shape)) {
    const message = `makes FP32${formatShape(made)} of a picture, the input is ${input.datatype}${formatShape(input.shape)}`;
    faults.push({ field: 'input', message });
  }
  for (const [field, values] of [
    ['mean', mean],
    ['std', std],
  ] as const) {
    if (values.length === 1 || values.length === count) continue;
    const message = `has ${values.length} values, expected 1 or one for each of ${count} channels`;
    faults.push({ field, message });
  }
  return faults;
}

function fits(made: readonly number[], declared: readonly DeclaredDimension[]): boolean {
  return (
    made.length === declared.length &&
    declared.every((dimension, axis) => typeof dimension !== 'number' || dimension === made[axis])
  );
}
