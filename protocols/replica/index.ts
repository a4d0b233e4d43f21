export {
  handleReplica,
  REPLICA_VERSION,
  type ReplicaProgress,
  type ReplicaRequest,
  requestReplica,
} from './replica.ts';
