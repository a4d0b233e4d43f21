export { BodyBudget, DEFAULT_BODY_BUDGET_BYTES } from './body-budget.ts';
export { CallerAccounts } from './caller-accounts.ts';
export { type CancelListener, Cancellation } from './cancellation.ts';
export {
  InferenceConnection,
  type InferenceConnectionInit,
  type InferenceRequest,
  type InferenceResponse,
  type Transfer,
  type TransferListener,
} from './connection.ts';
export { INFERENCE_VERSION } from './frame-type.ts';
export { handleInference, type InferenceHandlerInit } from './handle-inference.ts';
export type { Admission, ExecutionResult, InferenceHandler } from './handler.ts';
export type { RequestHeader } from './message.ts';
