export { LATENCY_BUCKETS, latencyBucket, latencyQuantileMs } from './latency-histogram.ts';
export {
  answeredCount,
  failedCount,
  MAX_OUTCOME_VERSIONS,
  MAX_OUTCOME_WINDOW_MS,
  openOutcome,
  type OutcomeDigest,
  signOutcome,
  type VersionOutcome,
} from './outcome.ts';
export { OUTCOME_TOPIC_COUNT, outcomeBucket, outcomeTopic } from './topics.ts';
