import { describe, expect, it } from 'vitest';
import { MAX_DEATH_REPORT_BYTES } from '../../../../protocols/limits.ts';
import {
  decodeDeathReport,
  encodeDeathReport,
  isDeathReport,
} from '../../../../protocols/liveness/index.ts';
import type { NodeId } from '../../../../protocols/types.ts';
import { announcementVectors } from '../../../vectors/capacity.ts';
import { brokenDeathReports, deathReportVectors } from '../../../vectors/liveness.ts';
import { toHex } from '../../../support/hex.ts';

describe('encodeDeathReport and decodeDeathReport', () => {
  it.each(deathReportVectors)('agree on $name', ({ bytes, report }) => {
    expect(toHex(encodeDeathReport(report))).toBe(toHex(bytes));
    expect(decodeDeathReport(bytes)).toEqual(report);
    expect(isDeathReport(bytes)).toBe(true);
  });

  it.each(brokenDeathReports)('refuse $name', ({ bytes, code }) => {
    expect(() => decodeDeathReport(bytes)).toThrow(expect.objectContaining({ code }));
  });

  it('fit the longest id there is', () => {
    const longest = { node: 'x'.repeat(128) as NodeId, salt: 2 ** 32 - 1 };
    const bytes = encodeDeathReport(longest);
    expect(bytes.byteLength).toBeLessThanOrEqual(MAX_DEATH_REPORT_BYTES);
    expect(decodeDeathReport(bytes)).toEqual(longest);
  });
});

describe('isDeathReport', () => {
  it.each(announcementVectors)('takes no announcement for one: $name', ({ bytes }) => {
    expect(isDeathReport(bytes)).toBe(false);
  });
});
