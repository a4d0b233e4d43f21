import { resolveDeployment } from '../../../protocols/manifest/index.ts';
import type { TensorSpec } from '../../../protocols/types.ts';
import type { ServedModel } from './model-directory.ts';

/** What users of Triton expect of an ONNX model; the protocol's own example says `onnx_onnxv1`. */
const PLATFORM = 'onnxruntime_onnx';

interface TensorMetadata {
  readonly name: string;
  readonly datatype: string;
  /** -1 is a free dimension. */
  readonly shape: readonly number[];
}

export interface ModelMetadataAnswer {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

interface TensorConfig {
  readonly name: string;
  readonly data_type: string;
  readonly dims: readonly number[];
  /** Where the dims are not the shape: the protocol's configuration knows no scalars. */
  readonly reshape?: { readonly shape: readonly number[] };
}

/** The part of Triton's configuration that means something here, by its names. */
export interface ModelConfigAnswer {
  readonly name: string;
  readonly platform: string;
  readonly backend: string;
  readonly max_batch_size: number;
  readonly input: readonly TensorConfig[];
  readonly output: readonly TensorConfig[];
  readonly default_model_filename: string;
  readonly dynamic_batching?: { readonly max_queue_delay_microseconds: number };
}

/** A model as the protocol's metadata. */
export function describeModel({ asked, version, manifest }: ServedModel): ModelMetadataAnswer {
  const tensor = ({ name, datatype, shape }: TensorSpec): TensorMetadata => ({
    name,
    datatype,
    shape: sizes(shape),
  });
  return {
    name: asked,
    versions: [version],
    platform: PLATFORM,
    inputs: manifest.inputs.map(tensor),
    outputs: manifest.outputs.map(tensor),
  };
}

/**
 * A model as Triton's configuration. A batch size above 0 says that dims leave out the first dimension, which metadata has: so only a
 * model that declares one, and whose tensors all begin with a free dimension, has it.
 */
export function describeConfig({ asked, manifest }: ServedModel): ModelConfigAnswer {
  const { inputs, outputs } = manifest;
  const { maxBatch, batchDimension, maxBatchDelayMs } = resolveDeployment(manifest.deployment);
  const free = [...inputs, ...outputs].every(
    ({ shape: [first] }) => first !== undefined && typeof first !== 'number',
  );
  const batched = maxBatch !== null && maxBatch > 1 && batchDimension === 0 && free;
  const tensor = ({ name, datatype, shape }: TensorSpec): TensorConfig => {
    const dims = sizes(shape).slice(batched ? 1 : 0);
    const data_type = datatype === 'BYTES' ? 'TYPE_STRING' : `TYPE_${datatype}`;
    return dims.length > 0
      ? { name, data_type, dims }
      : { name, data_type, dims: [1], reshape: { shape: [] } };
  };
  return {
    name: asked,
    platform: PLATFORM,
    backend: 'onnxruntime',
    max_batch_size: batched ? maxBatch : 0,
    input: inputs.map(tensor),
    output: outputs.map(tensor),
    default_model_filename: manifest.entry,
    ...(batched
      ? { dynamic_batching: { max_queue_delay_microseconds: Math.round(maxBatchDelayMs * 1000) } }
      : {}),
  };
}

function sizes(shape: TensorSpec['shape']): number[] {
  return shape.map((size) => (typeof size === 'number' ? size : -1));
}
