/** The protocols by which requests come. */
export type ApiProtocol = 'rest' | 'grpc';

/** What a node did for a request. */
export interface NodeTimes {
  /** Milliseconds in its queue and in the model. */
  readonly queueMs: number;
  readonly executeMs: number;
  /** Nodes that were asked before and did not answer. */
  readonly failedAttempts: number;
}

/** What came of a request that was answered, for statistics and metrics. */
export interface AnsweredRequest {
  readonly protocol: ApiProtocol;
  /** Rows of its batch. */
  readonly rows: number;
  readonly latencyMs: number;
  /** Bytes of tensors. */
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** Undefined when no node was asked, for the answer was kept. */
  readonly node: NodeTimes | undefined;
  /** Milliseconds that looking for a kept answer took; undefined for a model whose answers are not kept. */
  readonly cacheMs: number | undefined;
}
