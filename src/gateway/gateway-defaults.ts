/** Where gRPC is served and metrics are read: Triton's ports, on this machine alone. */
export const DEFAULT_GRPC_ADDRESS = ':8001';
export const DEFAULT_METRICS_ADDRESS = ':8002';

/** Bytes of a request by default, as of Triton's server: one hundred images of 224 × 224 × 3 FP32. */
export const DEFAULT_MAX_BODY_BYTES = 64 * 1024 * 1024;

/** Bytes of answers that are kept, of models whose are. */
export const DEFAULT_CACHE_BYTES = 64 * 1024 * 1024;

/** How long requests are still taken after the gateway was told to end, so that load balancers notice. */
export const DEFAULT_DRAIN_DELAY_MS = 5_000;

/** How long what is in flight may take after that. */
export const DEFAULT_DRAIN_TIMEOUT_MS = 30_000;

/** How long a client may take nothing of its answer: it holds the memory of the rest. */
export const DEFAULT_READER_TIMEOUT_MS = 30_000;
