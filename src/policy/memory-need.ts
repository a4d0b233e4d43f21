import { elementBytes } from '../../protocols/datatype.ts';
import { type Manifest, manifestBytes, resolveDeployment } from '../../protocols/manifest/index.ts';
import type { TensorSpec } from '../../protocols/types.ts';

const MIB = 1024 * 1024;

/** Bytes of a child's own before it has a model: Node's heap and the runtime's. Measured: 74 MiB, resident 151. */
export const PROCESS_BYTES = 90 * MIB;

/** Least memory that models of a node may be given: a process, and some room for a model in it. */
export const MIN_MEMORY_BYTES = 128 * MIB;

/** Bytes that a GPU's driver takes for each process that computes on it. */
export const GPU_CONTEXT_BYTES = 450 * MIB;

/** Resident bytes a byte of the model's files becomes: read by path, parsed, and packed for the kernels. Measured, 1.30. */
const WEIGHT_FACTOR = 1.35;

/** On a GPU the weights lie once, in the arena's steps. */
const GPU_WEIGHT_FACTOR = 1.15;

/** Times the inputs and outputs that lie between them, and what an answer has on its way out: the graph is not looked at. */
const ACTIVATION_FACTOR = 4;

/** Bytes assumed of a text element. */
const TEXT_BYTES = 64;

/** Rows of a batch assumed where the manifest leaves the number to the node. */
const ASSUMED_BATCH = 8;

/** What is known of a version before it is loaded. */
export interface VersionSize {
  /** Bytes of the files that make up the model. */
  readonly modelBytes: number;
  /** Bytes that the publisher says one replica takes; null when he does not. */
  readonly statedBytes: number | null;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Rows that may run as one batch. */
  readonly maxBatch: number;
}

/** Bytes that a version is expected to take while it is loaded and running. */
export interface MemoryNeed {
  readonly hostBytes: number;
  /** Of the GPU; 0 when it runs on the CPU. */
  readonly gpuBytes: number;
}

/** What a manifest says of it. The golden vectors are no part of the model. */
export function versionSize(manifest: Manifest): VersionSize {
  const { maxBatch, memoryBytes } = resolveDeployment(manifest.deployment);
  const { inputs, outputs, golden } = manifest;
  const goldenBytes = manifest.files.find(({ path }) => path === golden?.file)?.size ?? 0;
  return {
    modelBytes: manifestBytes(manifest) - goldenBytes,
    statedBytes: memoryBytes,
    inputs,
    outputs,
    maxBatch: maxBatch ?? ASSUMED_BATCH,
  };
}

/**
 * Estimates what a load takes, to be reserved before it and corrected after it: weights, activations at the largest batch,
 * outputs. A publisher's own figure stands in for all but the process around it.
 */
export function estimateMemory(size: VersionSize, onGpu: boolean): MemoryNeed {
  const tensorBytes =
    ACTIVATION_FACTOR *
    [...size.inputs, ...size.outputs].reduce(
      (sum, spec) => sum + specBytes(spec, size.maxBatch),
      0,
    );
  const { statedBytes, modelBytes } = size;
  const loadedBytes = statedBytes ?? Math.ceil(modelBytes * WEIGHT_FACTOR) + tensorBytes;
  if (!onGpu) return { hostBytes: PROCESS_BYTES + loadedBytes, gpuBytes: 0 };
  return {
    // The files pass through the host's memory on their way to the GPU.
    hostBytes: PROCESS_BYTES + Math.ceil(modelBytes * WEIGHT_FACTOR),
    gpuBytes:
      GPU_CONTEXT_BYTES + (statedBytes ?? Math.ceil(modelBytes * GPU_WEIGHT_FACTOR) + tensorBytes),
  };
}

/** A free dimension counts the rows of a batch when it is the first, and once when it is another: its length is the callers'. */
function specBytes({ datatype, shape }: TensorSpec, maxBatch: number): number {
  const elements = shape.reduce<number>((product, dimension, axis) => {
    if (typeof dimension === 'number') return product * dimension;
    return axis === 0 ? product * maxBatch : product;
  }, 1);
  return elements * (elementBytes(datatype) ?? TEXT_BYTES);
}
