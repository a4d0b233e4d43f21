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
  type Deployment,
  deploymentShape,
  isDeploymentConsistent,
  type ResolvedDeployment,
  resolveDeployment,
} from './deployment.ts';
export { fileNameFault, fileNameKey } from './file-name.ts';
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
export { findUnknownTensors, type UnknownTensor } from './tensor-reference.ts';
