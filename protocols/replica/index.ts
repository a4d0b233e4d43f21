export {
  GRANT_VALIDITY_MS,
  MAX_GRANT_BYTES,
  openPlacementGrant,
  type PlacementGrant,
  signPlacementGrant,
} from './placement-grant.ts';
export {
  handleReplica,
  REPLICA_VERSION,
  type ReplicaProgress,
  type ReplicaRequest,
  requestReplica,
} from './replica.ts';
