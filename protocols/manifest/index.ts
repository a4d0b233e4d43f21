export { findBatchingFaults } from './batching-fit.ts';
export { type Answer, answerOutputs, strictAnswerSchema } from './answer.ts';
export {
  type Chunk,
  type ChunkList,
  chunkListBytes,
  decodeChunkList,
  type EncodedChunkList,
  encodeChunkList,
} from './chunk-list.ts';
export {
  DEFAULT_MAX_REPLICAS,
  DEFAULT_MIN_REPLICAS,
  DEFAULT_SCALE_TO_ZERO_DELAY_MS,
  DEFAULT_TARGET_IN_FLIGHT,
  type Deployment,
  EXECUTION_PROVIDERS,
  isDeploymentConsistent,
  type ResolvedDeployment,
  resolveDeployment,
  strictDeploymentSchema,
} from './deployment.ts';
export {
  DEFAULT_MAX_TOKENS,
  EMBEDDING_TASK,
  type Embedding,
  type ResolvedEmbedding,
  resolveEmbedding,
  strictEmbeddingSchema,
} from './embedding.ts';
export { findEmbeddingFaults, TOKEN_INPUTS } from './embedding-fit.ts';
export { fileNameFault, fileNameKey, fileNameSchema } from './file-name.ts';
export {
  DEFAULT_TOLERANCE,
  GOLDEN_FILE_NAME,
  type GoldenReference,
  MAX_GOLDEN_BYTES,
  strictGoldenSchema,
  strictToleranceSchema,
  type Tolerance,
  toleranceSchema,
} from './golden.ts';
export {
  decodeManifest,
  type EncodedManifest,
  encodeManifest,
  type Manifest,
  type ManifestFile,
  manifestBytes,
  manifestCid,
} from './manifest.ts';
export { classLabelsSchema, MAX_CLASS_LABELS, MAX_FILES } from './manifest-schema.ts';
export { type ModelMetadata, metadataShape } from './metadata.ts';
export {
  type ImagePreprocessing,
  type Preprocessing,
  type ResolvedImagePreprocessing,
  resolvePreprocessing,
  strictPreprocessingSchema,
} from './preprocessing.ts';
export { findPreprocessingFaults } from './preprocessing-fit.ts';
export type { SessionOptions } from './session-options.ts';
export { findUnknownTensors, type UnknownTensor } from './tensor-reference.ts';
