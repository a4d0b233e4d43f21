export { deriveHookKey, type HookKey } from './hook-key.ts';
export {
  isOfHook,
  namesHook,
  openProvision,
  type ProvisionHeartbeat,
  signProvision,
} from './provision.ts';
export { provisionTopic } from './topics.ts';
