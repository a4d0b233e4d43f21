export {
  type Delegation,
  MAX_DELEGATED_MOVES,
  MAX_DELEGATION_BYTES,
  openDelegation,
  signDelegation,
} from './delegation.ts';
export {
  DEFAULT_GUARD,
  type ReleaseGuard,
  type ResolvedReleaseGuard,
  resolveGuard,
} from './guard.ts';
export {
  type ChannelChanges,
  DEFAULT_VALIDITY_MS,
  moveChannels,
  type NextReleaseOptions,
  type ReleaseMoveOptions,
  removeChannel,
  type SetChannelOptions,
  setChannel,
} from './next.ts';
export {
  type DecodeReleaseOptions,
  decodeRelease,
  MAX_CLOCK_SKEW_MS,
  signRelease,
} from './release.ts';
export { parseReleaseKey, releaseKey } from './release-key.ts';
export type { ReleaseChannel, ReleaseMove, ReleaseRecord } from './release-record.ts';
export { MAX_CHANNELS, MAX_HISTORY } from './release-schema.ts';
export { selectRelease } from './selector.ts';
export {
  createMemorySequenceStore,
  type SeenRelease,
  type SequenceStore,
} from './sequence-store.ts';
export { RELEASE_TOPIC_COUNT, releaseBucket, releaseTopic } from './topics.ts';
export {
  compareReleases,
  createReleaseValidator,
  type ReleaseValidator,
  type ReleaseValidatorInit,
} from './validator.ts';
