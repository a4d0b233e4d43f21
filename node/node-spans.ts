import type { NodeId } from '../protocols/types.ts';
import { SpanExporter } from '../src/swarm/span-exporter.ts';
import type { ResolvedNodeInit } from './node-init.ts';

/** Sends the spans of a node's requests to its collector; undefined where it has none. */
export function createSpans(
  node: NodeId,
  { otlp, logger }: Pick<ResolvedNodeInit, 'otlp' | 'logger'>,
): SpanExporter | undefined {
  if (otlp === undefined) return undefined;
  return new SpanExporter({
    endpoint: otlp,
    service: 'gpu-swarm-node',
    attributes: { 'swarm.node': node },
    onFailure: (error, lost) => logger.warn({ err: error, lost }, 'spans cannot be sent'),
  });
}
