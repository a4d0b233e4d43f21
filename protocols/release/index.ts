export {
  DEFAULT_GUARD,
  type ReleaseGuard,
  type ResolvedReleaseGuard,
  resolveGuard,
} from './guard.ts';
export {
  DEFAULT_VALIDITY_MS,
  type ReleaseMoveOptions,
  removeChannel,
  type SetChannelOptions,
  setChannel,
} from './next.ts';
export {
  type DecodeReleaseOptions,
  decodeRelease,
  MAX_CLOCK_SKEW_MS,
  type ReleaseChannel,
  type ReleaseMove,
  type ReleaseRecord,
  signRelease,
} from './release.ts';
export { parseReleaseKey, releaseKey } from './release-key.ts';
export { MAX_CHANNELS, MAX_HISTORY } from './release-schema.ts';
export { selectRelease } from './selector.ts';
export {
  createMemorySequenceStore,
  type SeenRelease,
  type SequenceStore,
} from './sequence-store.ts';
export {
  compareReleases,
  createReleaseValidator,
  type ReleaseValidator,
  type ReleaseValidatorInit,
} from './validator.ts';
