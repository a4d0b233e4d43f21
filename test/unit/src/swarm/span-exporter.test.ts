import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { childOf } from '../../../../protocols/trace-context.ts';
import type { Span } from '../../../../src/swarm/span.ts';
import { SpanExporter } from '../../../../src/swarm/span-exporter.ts';
import { TestCollector } from '../../../support/test-collector.ts';

let collector: TestCollector;
let failures: number[];
let told: string[];
beforeEach(async () => {
  collector = await TestCollector.start();
  failures = [];
  told = [];
});
afterEach(() => collector[Symbol.asyncDispose]());

const create = (endpoint = collector.endpoint) =>
  new SpanExporter({
    endpoint,
    service: 'gpu-swarm-node',
    attributes: {},
    onFailure: (error, lost) => {
      failures.push(lost);
      told.push((error as Error).message);
    },
  });

const span = (more: Partial<Span> = {}): Span => ({
  name: 'infer',
  kind: 'server',
  context: childOf(undefined),
  parentSpanId: undefined,
  startMs: 1_700_000_000_000.5,
  endMs: 1_700_000_000_001.25,
  attributes: {},
  ...more,
});

describe('SpanExporter', () => {
  it('sends a span as OTLP has it', async () => {
    const exporter = create(`${collector.endpoint}/`);
    const sent = span({
      ...{ kind: 'client', parentSpanId: '00f067aa0ba902b7', error: 'ERR_BUSY' },
      attributes: { text: 'a', whole: 3, part: 0.5, yes: true },
    });
    exporter.add(sent);
    await exporter.stop();
    expect(collector.spans).toEqual([
      {
        service: 'gpu-swarm-node',
        name: 'infer',
        kind: 3,
        traceId: sent.context.traceId,
        spanId: sent.context.spanId,
        parentSpanId: '00f067aa0ba902b7',
        startTimeUnixNano: '1700000000000500000',
        endTimeUnixNano: '1700000000001250000',
        attributes: { text: 'a', whole: '3', part: 0.5, yes: true },
        status: { code: 2, message: 'ERR_BUSY' },
      },
    ]);
  });

  it('sends many together, at most 512', async () => {
    const exporter = create();
    for (let index = 0; index < 700; index += 1) exporter.add(span());
    await exporter.stop();
    expect(collector.batches).toEqual([512, 188]);
  });

  it('sends nothing of a trace that is not recorded', async () => {
    const exporter = create();
    exporter.add(span({ context: { ...childOf(undefined), sampled: false } }));
    await exporter.stop();
    expect(collector.spans).toEqual([]);
  });

  it('holds 4096 that wait, and loses what comes besides', async () => {
    const exporter = create();
    for (let index = 0; index < 5000; index += 1) exporter.add(span());
    await exporter.stop();
    expect(collector.spans).toHaveLength(4096);
  });

  it('tells once that they cannot be sent, and sends those that come later', async () => {
    const exporter = create();
    collector.status = 503;
    for (let index = 0; index < 600; index += 1) exporter.add(span());
    await expect.poll(() => failures, { timeout: 10_000 }).toEqual([512]);
    collector.status = 200;
    exporter.add(span());
    await exporter.stop();
    expect(collector.spans.length).toBeGreaterThan(0);
  });

  it('ends with the first message that a collector leaves unanswered', async () => {
    const exporter = create();
    collector.status = undefined;
    for (let index = 0; index < 2000; index += 1) exporter.add(span());
    await exporter.stop();
    expect([collector.asked, failures]).toEqual([1, [512]]);
    expect(told).toEqual([`${collector.endpoint}/v1/traces has not answered within 5000 ms`]);
  });

  it.each(['', 'localhost:4318', 'ftp://a'])('refuses the address %j', (endpoint) => {
    expect(() => create(endpoint)).toThrow(/expected an address such as http:\/\/localhost:4318$/);
  });
});
