import { describe, expect, it } from 'vitest';
import {
  counted,
  formatConfidence,
  formatMs,
  formatTimeLeft,
  roundMs,
} from '../../../../src/cli/figures.ts';

describe('formatMs', () => {
  it.each([
    [0.26, '0.3 ms'],
    [48.4, '48 ms'],
    [1_240, '1.2 s'],
  ])('writes %d ms as %s', (ms, text) => expect(formatMs(ms)).toBe(text));
});

describe('formatConfidence', () => {
  it.each([
    [0.998, '99.8 %'],
    [1, '100.0 %'],
    [12.3456, '12.35'],
    [-0.5, '-0.5000'],
    [null, '-'],
  ])('writes %d as %s', (confidence, text) => expect(formatConfidence(confidence)).toBe(text));
});

describe('counted and roundMs', () => {
  it('count in words and round to a tenth', () => {
    expect([counted(1, 'node'), counted(3, 'node'), roundMs(1.26)]).toEqual([
      '1 node',
      '3 nodes',
      1.3,
    ]);
  });
});

describe('formatTimeLeft', () => {
  it.each([
    [-5, '0 s'],
    [99_000, '99 s'],
    [150_000, '3 min'],
    [9_000_000, '2.5 h'],
  ])('writes %d ms as %s', (ms, text) => expect(formatTimeLeft(ms)).toBe(text));
});
