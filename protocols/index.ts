/**
 * The words, records and exchanges of the swarm, both ends of each wire: for programs that speak to it without the client
 * or the daemon. `docs/protocols/` describes them byte by byte. What is not exported here is private.
 *
 * @packageDocumentation
 */
export * from './capacity/index.ts';
export { DATATYPES, type Datatype, elementBytes, isDatatype } from './datatype.ts';
export * from './demand/index.ts';
export * from './errors.ts';
export * from './inference/index.ts';
export { checkInputs, type GivenInput } from './input-check.ts';
export * from './limits.ts';
export * from './liveness/index.ts';
export * from './manifest/index.ts';
export * from './outcome/index.ts';
export { DEFAULT_NETWORK, parseNetwork, protocolId } from './protocol-id.ts';
export * from './provision/index.ts';
export * from './receipt/index.ts';
export * from './reference.ts';
export * from './release/index.ts';
export * from './replica/index.ts';
export * from './routing/index.ts';
export {
  errorFromFailure,
  failureFromError,
  isRetryableElsewhere,
  STATUS,
  type WireFailure,
} from './status.ts';
export * from './tensor.ts';
export * from './transfer/index.ts';
export type * from './types.ts';
