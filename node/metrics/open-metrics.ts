import type { ListenAddress } from '../../src/swarm/listen-address.ts';
import type { NodeState } from './node-metrics.ts';
import type { RequestListener } from './request-listener.ts';

/** Metrics that are being served. */
export interface OpenMetrics {
  readonly address: ListenAddress;
  readonly requests: RequestListener;
  /** Answers nobody any more. Idempotent. */
  close(): Promise<void>;
}

/**
 * Serves a node's metrics; undefined where nobody wants them, and then nothing of it is loaded. The caller closes it; `opened` takes
 * what does.
 *
 * @throws the system's error when the address cannot be listened on.
 */
export async function openMetrics(
  listen: ListenAddress | undefined,
  state: NodeState,
  opened: (() => Promise<void>)[],
): Promise<OpenMetrics | undefined> {
  if (listen === undefined) return undefined;
  const { NodeMetrics } = await import('./node-metrics.ts');
  const { MetricsServer } = await import('../../src/swarm/metrics-server.ts');
  const requests = new NodeMetrics(state);
  const server = new MetricsServer(listen, requests);
  const address = await server.start();
  const close = (): Promise<void> => server.close();
  opened.push(close);
  return { address, requests, close };
}
