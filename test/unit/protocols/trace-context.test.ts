import { describe, expect, it } from 'vitest';
import {
  childOf,
  formatTraceparent,
  parseTrace,
  parseTraceparent,
} from '../../../protocols/trace-context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

describe('parseTraceparent', () => {
  it.each([
    [`00-${TRACE}-${SPAN}-01`, true],
    [`00-${TRACE}-${SPAN}-00`, false],
    [`00-${TRACE}-${SPAN}-03`, true],
    [`cc-${TRACE}-${SPAN}-01-what-the-future-will-be-like`, true],
  ])('reads %s', (text, sampled) => {
    expect(parseTraceparent(text)).toEqual({ traceId: TRACE, spanId: SPAN, sampled });
  });

  it.each([
    undefined,
    '',
    `ff-${TRACE}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE}-${SPAN}-01.`,
    ` 00-${TRACE}-${SPAN}-01`,
  ])('takes %j for none', (text) => {
    expect(parseTraceparent(text)).toBeUndefined();
  });
});

describe('childOf', () => {
  it('keeps the trace and whether it is recorded, and has a span of its own', () => {
    const parent = { traceId: TRACE, spanId: SPAN, sampled: false };
    const child = childOf(parent);
    expect(child).toMatchObject({ traceId: TRACE, sampled: false });
    expect(child.spanId).not.toBe(SPAN);
    expect(parseTraceparent(formatTraceparent(child))).toEqual(child);
  });

  it('begins a trace that is recorded where there is none', () => {
    const root = childOf(undefined);
    expect(root.sampled).toBe(true);
    expect(parseTraceparent(formatTraceparent(root))).toEqual(root);
    expect(childOf(undefined).traceId).not.toBe(root.traceId);
  });
});

describe('parseTrace', () => {
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

  it.each([
    ['keeps', 'vendor=a,other=b', 'vendor=a,other=b'],
    ['keeps the longest', 'a'.repeat(512), 'a'.repeat(512)],
    ['drops a longer', 'a'.repeat(513), undefined],
    ['drops what is not ASCII', 'vendor=ä', undefined],
    ['drops a line feed in', 'vendor=a\n', undefined],
    ['drops an empty', '', undefined],
  ])('%s state, and keeps the context', (_, tracestate, state) => {
    const context = parseTrace({ traceparent, tracestate });
    expect([context?.spanId, context?.state]).toEqual(['00f067aa0ba902b7', state]);
    expect(childOf(context).state).toBe(state);
  });

  it('knows no state without a context', () => {
    expect(parseTrace({ traceparent: '', tracestate: 'vendor=a' })).toBeUndefined();
  });
});
