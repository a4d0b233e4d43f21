export {
  claimedReporter,
  type DemandDigest,
  type DemandRates,
  MAX_DEMAND_VERSIONS,
  MAX_DEMAND_WINDOW_MS,
  openDemand,
  signDemand,
  totalPerS,
  type VersionDemand,
} from './demand.ts';
export { openRecruit, type RecruitNotice, signRecruit } from './recruit.ts';
export { DEMAND_TOPIC_COUNT, demandBucket, demandTopic, recruitTopic } from './topics.ts';
