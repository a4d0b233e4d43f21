/**
 * The daemon of a GPU host, to embed in a program of one's own; `swarm node` runs the same.
 *
 * @packageDocumentation
 */
export { createNode, SwarmNode } from './daemon.ts';
export {
  type AllowList,
  DEFAULT_ANNOUNCE_INTERVAL_MS,
  DEFAULT_EXECUTION_LIMIT_MS,
  DEFAULT_MAX_QUEUED,
  type NodeInit,
} from './node-init.ts';
