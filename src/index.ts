/**
 * The client of a GPU swarm: `createClient`, `infer`, tensors and errors. What is not exported here is private.
 *
 * @packageDocumentation
 */
export { DATATYPES, type Datatype } from '../protocols/datatype.ts';
export * from '../protocols/errors.ts';
export type { ImagePreprocessing, Manifest, Preprocessing } from '../protocols/manifest/index.ts';
export type { NestedArray, PlainElement } from '../protocols/nested-array.ts';
export { formatModelRef, type ModelRef, parseModelRef } from '../protocols/reference.ts';
export type { CatalogMetadata } from '../protocols/routing/index.ts';
export { type NamedTensor, Tensor, type TensorData, type TypedArray } from '../protocols/tensor.ts';
export { joinRows, splitRows } from '../protocols/tensor-rows.ts';
export type {
  AbortOptions,
  LoadReport,
  NodeId,
  OwnerId,
  PublisherId,
  TensorSpec,
  VersionCid,
} from '../protocols/types.ts';
export { type ModelAnswer, type RankedLabel, readAnswers } from './client/answer-reader.ts';
export type { InferInputs } from './client/call-inputs.ts';
export type { CallEvent, CallProgress, ProgressListener } from './client/call-progress.ts';
export type { CatalogResult, CatalogSearch, FoundModel } from './client/catalog-search.ts';
export { createClient, SwarmClient } from './client/client.ts';
export {
  DEFAULT_DEADLINE_MS,
  DEFAULT_JOIN_TIMEOUT_MS,
  type SwarmClientInit,
} from './client/client-init.ts';
export { checkEvidence, type Evidence, type Testimony } from './client/evidence.ts';
export { imageToTensor, MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS } from './client/image-input.ts';
export type { InferOptions } from './client/infer-options.ts';
export type { FailedAttempt, InferResult } from './client/infer-result.ts';
export { InferenceCall } from './client/inference-call.ts';
export type { ResolvedModel } from './client/model-resolver.ts';
export type { NodePreference } from './client/node-preference.ts';
export type { PlainInput } from './client/plain-input.ts';
export type { ChannelStatus, GuardStatus, ReleaseStatus } from './client/release-status.ts';
export { type DescribedModel, RemoteModel } from './client/remote-model.ts';
export type { ExplainedNode, RouteExplanation } from './client/route-explanation.ts';
export type { SamplingInit } from './client/sampling-init.ts';
export type { Verification, Witness } from './client/verified-call.ts';
export type { VerifyOptions } from './client/verify-options.ts';
export type { ReadFileOptions } from './client/version-file.ts';
export { defaultSelector, type Verdict } from './policy/node-choice.ts';
export type { GuardVerdict } from './policy/release-guard.ts';
export type {
  Avoided,
  Candidate,
  NodeSelector,
  RoutingContext,
  RoutingRequest,
} from './policy/routing.ts';
