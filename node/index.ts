/**
 * The daemon of a GPU host, to embed in a program of one's own; `swarm node` runs the same.
 *
 * @packageDocumentation
 */
export type {
  InferenceBackend,
  LoadedModel,
  LoadOptions,
  ModelFiles,
  ModelState,
  RunOptions,
  RunResult,
} from './backend/backend.ts';
export { DEFAULT_MAX_QUEUED } from '../src/policy/admission.ts';
export { findNode, type NodeControl } from './control/control-client.ts';
export type { ControlRequest } from './control/control-verb.ts';
export { storeVerbs } from './control/store-verbs.ts';
export { createNode, SwarmNode } from './daemon.ts';
export { MAX_PRICE_PER_KWH, MAX_WATTS, type NodeCostInit } from './node-cost.ts';
export {
  type AllowList,
  DEFAULT_ANNOUNCE_INTERVAL_MS,
  DEFAULT_EXECUTION_LIMIT_MS,
  type NodeInit,
} from './node-init.ts';
export type { CollectedVersion, StoreEntry } from './store/store-upkeep.ts';
export type { VerifiedVersion } from './store/store-verify.ts';
export { VersionStore } from './store/version-store.ts';
export type { RepairOutcome } from './replica/version-repair.ts';
export type { DrainStatus } from './control/drain-verbs.ts';
export { DEFAULT_HANDOVER_TIMEOUT_MS } from '../src/policy/handover.ts';
export type { HandoverProgress } from './handover.ts';
export type { NodeStatus } from './control/node-verbs.ts';
