/**
 * The bootstrap server, to embed in a program of one's own; `swarm bootstrap` runs the same.
 *
 * @packageDocumentation
 */
export {
  type BootstrapInit,
  DEFAULT_LISTEN,
  DEFAULT_MAX_CONNECTIONS,
} from './bootstrap-init.ts';
export { BootstrapServer, createBootstrapServer } from './bootstrap-server.ts';
