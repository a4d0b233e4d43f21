import { expect, it } from 'vitest';
import { RequestSpan } from '../../../node/request-span.ts';
import type { Replica } from '../../../node/replica/replica.ts';
import type { Span } from '../../../src/swarm/span.ts';

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

const replica = {
  origin: { publisher: 'publisher', name: 'model', cid: 'cid' },
} as unknown as Replica;

it.each([
  ['more than the whole', { queueMs: 4000, executeMs: 3000 }],
  ['in the model alone more than the whole', { queueMs: 0, executeMs: 3000 }],
])('RequestSpan keeps its parts within it when the clocks add up to %s', (_, times) => {
  const spans: Span[] = [];
  const sink = { add: (span: Span) => spans.push(span) };
  new RequestSpan(sink, { traceparent: TRACEPARENT }, replica).answered({ ...times, together: 1 });
  const [whole, queue, execute] = spans;
  expect(spans.map(({ name }) => name)).toEqual(['infer', 'queue', 'execute']);
  expect(queue?.startMs).toBe(whole?.startMs);
  expect(queue?.endMs).toBe(execute?.startMs);
  expect(queue?.endMs).toBeGreaterThanOrEqual(queue?.startMs ?? Number.NaN);
  expect(execute?.endMs).toBeLessThanOrEqual(whole?.endMs ?? Number.NaN);
});
