import type { Tensor } from '../../protocols/tensor.ts';
import type { NodeId, OwnerId, VersionCid } from '../../protocols/types.ts';

/** What a call came back with. */
export interface InferResult {
  /** Outputs by name, with their real shapes. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly version: VersionCid;
  /** Sequence of the release record that named the version; 0 when the reference named it. */
  readonly sequence: number;
  /** The channel that the request went to, such as `stable` or `canary`; null when the reference named the version. */
  readonly channel: string | null;
  /** True when the channel's guard has tripped, so that the version before the channel's own answered. */
  readonly fellBack: boolean;
  readonly node: NodeId;
  readonly owner: OwnerId;
  /** Milliseconds from the call to its result, retries included. */
  readonly latencyMs: number;
  readonly queueMs: number;
  readonly executeMs: number;
  /** Nodes that were asked before this one answered, and why each did not. */
  readonly failedAttempts: readonly FailedAttempt[];
}

export interface FailedAttempt {
  readonly node: NodeId;
  readonly code: string;
  readonly message: string;
}
