import { quoted } from '../quoted.ts';
import type { TensorSpec } from '../types.ts';
import { type Deployment, resolveDeployment } from './deployment.ts';

/** A field of `deployment` that the model's tensors contradict. */
export interface BatchingFault {
  readonly field: 'maxBatch' | 'batchDimension';
  readonly message: string;
}

/**
 * What is wrong between the batching that is asked for and the model's tensors: each must have the dimension that counts rows, and
 * the inputs must leave it free when more than one row is to run at once.
 */
export function findBatchingFaults(
  deployment: Deployment,
  model: Readonly<Record<'inputs' | 'outputs', readonly TensorSpec[]>>,
): BatchingFault[] {
  const { batchDimension: axis, maxBatch } = resolveDeployment(deployment);
  if (deployment.batchDimension === undefined && (maxBatch ?? 1) === 1) return [];
  const short = [...model.inputs, ...model.outputs].find(({ shape }) => shape.length <= axis);
  if (short !== undefined) {
    const message = `tensor ${quoted(short.name)} has ${short.shape.length} dimensions, expected more than ${axis}`;
    return [{ field: 'batchDimension', message }];
  }
  const fixed = model.inputs.find(({ shape }) => typeof shape[axis] === 'number');
  if (fixed === undefined || (maxBatch ?? 1) === 1) return [];
  const message = `dimension ${axis} of input ${quoted(fixed.name)} is always ${fixed.shape[axis]}, expected a free one for batches of ${maxBatch}`;
  return [{ field: 'maxBatch', message }];
}
