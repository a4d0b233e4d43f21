import type { Datatype } from '../../protocols/datatype.ts';
import { buildModel } from './onnx-builder.ts';

/** As the model `simple` of Triton's examples: `OUTPUT0 = INPUT0 + INPUT1`, `OUTPUT1 = INPUT0 - INPUT1`, INT32 [batch, 16]. */
export function simpleModel(): Uint8Array {
  const tensor = (name: string) => ({ name, datatype: 'INT32', shape: ['batch', 16] }) as const;
  return buildModel({
    inputs: [tensor('INPUT0'), tensor('INPUT1')],
    outputs: [tensor('OUTPUT0'), tensor('OUTPUT1')],
    nodes: [
      { op: 'Add', inputs: ['INPUT0', 'INPUT1'], outputs: ['OUTPUT0'] },
      { op: 'Sub', inputs: ['INPUT0', 'INPUT1'], outputs: ['OUTPUT1'] },
    ],
  });
}

/** Package settings of {@link simpleModel} with batches of up to 8 rows, as Triton's configuration of it has. */
export const SIMPLE_SETTINGS = JSON.stringify({ deployment: { maxBatch: 8 } });

/** `y = x` of one datatype, both [rows, 2], as Triton's identity models are. */
export function identityModel(datatype: Datatype): Uint8Array {
  return buildModel({
    inputs: [{ name: 'x', datatype, shape: ['rows', 2] }],
    outputs: [{ name: 'y', datatype, shape: ['rows', 2] }],
    nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
  });
}
