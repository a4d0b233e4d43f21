import { describe, expect, test } from 'vitest';
import { parseLoadReport } from '../../../../node/backend/load-report.ts';
import {
  decodeFailure,
  encodeFailure,
  type LoadReport,
  parsePipeFailure,
} from '../../../../node/backend/pipe-message.ts';
import {
  ConfigError,
  ExecutionError,
  InvalidInputError,
  InvalidModelError,
  LimitError,
  StoreError,
} from '../../../../protocols/errors.ts';
import { MAX_TENSORS } from '../../../../protocols/limits.ts';

const json = (value: unknown) => Buffer.from(JSON.stringify(value));

describe('encodeFailure', () => {
  test.each([
    ConfigError,
    ExecutionError,
    InvalidInputError,
    InvalidModelError,
    LimitError,
    StoreError,
  ])('carries %s over the pipe', (Kind) => {
    const error = new Kind('expected this, found that');
    const read = decodeFailure(parsePipeFailure(json(encodeFailure(error))));
    expect(read).toBeInstanceOf(Kind);
    expect(read.message).toBe(error.message);
  });

  test('makes an execution error of what is not ours', () => {
    expect(encodeFailure(new TypeError('a bug'))).toEqual({
      code: 'ERR_EXECUTION',
      message: 'a bug',
    });
    expect(encodeFailure('a string')).toEqual({ code: 'ERR_EXECUTION', message: 'a string' });
  });
});

describe('parsePipeFailure', () => {
  test.each(['{', '1', 'null', '{}', '{"code":1,"message":"x"}', '{"code":"ERR_LIMIT"}'])(
    'refuses %s',
    (text) => {
      expect(() => parsePipeFailure(Buffer.from(text))).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_MESSAGE' }),
      );
    },
  );

  test('bounds the message', () => {
    const long = json({ code: 'ERR_LIMIT', message: 'x'.repeat(100_000) });
    expect(parsePipeFailure(long).message.length).toBe(1024);
  });
});

describe('parseLoadReport', () => {
  const report: LoadReport = {
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', null, 3] }],
    outputs: [{ name: 'y', datatype: 'BYTES', shape: [] }],
    notes: [],
    loops: [],
    memoryBytes: 1,
    runtimeVersion: '1.30.0',
    runtimeProviders: ['cpu'],
  };

  test('reads what a child says of its model', () => {
    expect(parseLoadReport(json(report))).toEqual(report);
  });

  test('takes as many inputs as the limit, and not one more', () => {
    const inputs = (count: number) =>
      Array.from({ length: count }, (_, index) => ({ ...report.inputs[0], name: `x${index}` }));
    expect(parseLoadReport(json({ ...report, inputs: inputs(MAX_TENSORS) }))).toBeDefined();
    expect(() => parseLoadReport(json({ ...report, inputs: inputs(MAX_TENSORS + 1) }))).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_MESSAGE' }),
    );
  });

  test.each<[string, object]>([
    ['a datatype we have no word for', { inputs: [{ name: 'x', datatype: 'INT4', shape: [] }] }],
    ['a negative dimension', { inputs: [{ name: 'x', datatype: 'FP32', shape: [-1] }] }],
    ['no outputs at all', { outputs: undefined }],
    ['memory that is no number', { memoryBytes: 'much' }],
  ])('refuses %s', (_, change) => {
    expect(() => parseLoadReport(json({ ...report, ...change }))).toThrow('load report');
  });
});
