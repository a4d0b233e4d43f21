import { expect, it } from 'vitest';
import { GrpcCaller } from '../support/grpc-caller.ts';
import { addModel } from '../support/models.ts';
import { present } from '../support/present.ts';
import { type CollectedSpan, TestCollector } from '../support/test-collector.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import { createTestnet } from '../support/testnet.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const CALLER = '00f067aa0ba902b7';
const TRACEPARENT = `00-${TRACE}-${CALLER}-01`;

const SUM = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4], data: [1, 2, 3, 4] }] };

/** `service name` of a span and, indented, of all below it. */
function tree(spans: readonly CollectedSpan[], parent: string, depth = 0): string[] {
  return spans
    .filter(({ parentSpanId }) => parentSpanId === parent)
    .sort((a, b) => (BigInt(a.startTimeUnixNano) < BigInt(b.startTimeUnixNano) ? -1 : 1))
    .flatMap(({ service, name, spanId }) => [
      `${'  '.repeat(depth)}${service.replace('gpu-swarm-', '')} ${name}`,
      ...tree(spans, spanId, depth + 1),
    ]);
}

const LIFE = [
  'gateway infer',
  '  gateway route',
  '    node infer',
  '      node queue',
  '      node execute',
];

it("A request is one trace from its caller through the gateway into the node's batch, over HTTP and gRPC", async () => {
  await using collector = await TestCollector.start();
  const otlp = collector.endpoint;
  await using testnet = await createTestnet({ nodes: 1, clients: 0, node: { otlp } });
  const { publisher, cid } = await testnet.publish(addModel(), { name: 'sum' });
  await using gateway = await startTestGateway(testnet, { otlp });
  using caller = new GrpcCaller(gateway.grpc);
  const post = async (headers: Record<string, string>, body: object = SUM) =>
    (
      await fetch(`${gateway.http}/v2/models/sum/infer`, {
        method: 'POST',
        headers,
        body: JSON.stringify(body),
      })
    ).status;
  const ofTrace = (traceId: string) => collector.spans.filter((span) => span.traceId === traceId);
  const seen = () => tree(ofTrace(TRACE), CALLER);

  const tracestate = 'vendor=opaque,other=1';
  const headers = { traceparent: TRACEPARENT, tracestate, 'x-request-id': 'mine' };
  expect(await post(headers)).toBe(200);
  await expect.poll(seen, { timeout: 10_000 }).toEqual(LIFE);
  const states = ofTrace(TRACE).map(({ traceState }) => traceState);
  expect(states).toEqual(LIFE.map(() => tracestate));
  const [first, route, , , execute] = LIFE.map((line) => {
    const [service, name] = line.trim().split(' ');
    return present(
      ofTrace(TRACE).find((each) => each.service.endsWith(service ?? '') && each.name === name),
    );
  });
  expect(first?.attributes).toMatchObject({
    ...{ 'swarm.model': `${publisher}/sum`, 'swarm.version': cid },
    ...{ 'swarm.protocol': 'rest', 'swarm.request_id': 'mine' },
  });
  expect(route?.attributes).toMatchObject({ 'swarm.node': testnet.nodes[0]?.id });
  expect(execute?.attributes).toEqual({ 'swarm.batch.requests': '1' });
  expect(JSON.stringify(collector.spans)).not.toContain('[1,2,3,4]');

  const x = Buffer.from(Float32Array.of(1, 2, 3, 4).buffer);
  await caller.call(
    'ModelInfer',
    {
      model_name: 'sum',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4] }],
      raw_input_contents: [x],
    },
    { metadata: { traceparent: TRACEPARENT } },
  );
  await expect.poll(seen, { timeout: 10_000 }).toEqual([...LIFE, ...LIFE]);

  // What is not sampled is recorded nowhere; what is nobody's trace is one of the gateway's own.
  const other = TRACE.replace('4', '5');
  expect(await post({ traceparent: `00-${other}-${CALLER}-00` })).toBe(200);
  expect(await post({ traceparent: 'nonsense' }, { inputs: [] })).toBe(400);
  const failed = () => collector.spans.find(({ status }) => status !== undefined);
  await expect.poll(failed, { timeout: 10_000 }).toMatchObject({
    ...{ service: 'gpu-swarm-gateway', name: 'infer', status: { message: 'invalid' } },
  });
  expect(failed()?.parentSpanId).toBeUndefined();
  expect(ofTrace(other)).toEqual([]);
});
