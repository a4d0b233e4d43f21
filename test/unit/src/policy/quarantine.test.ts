import { describe, expect, it } from 'vitest';
import {
  MAX_QUARANTINE_MS,
  MAX_UNPROVEN_DEATHS,
  QUARANTINE_MS,
  quarantineMs,
  VersionFaults,
} from '../../../../src/policy/quarantine.ts';

describe('quarantineMs', () => {
  it('doubles with each time, to a day', () => {
    expect([0, 1, 2].map(quarantineMs)).toEqual([1, 2, 4].map((times) => times * QUARANTINE_MS));
    expect(quarantineMs(1_000)).toBe(MAX_QUARANTINE_MS);
  });
});

describe('VersionFaults', () => {
  it('gives a version up at its second death without an input, answers between forgiven', () => {
    const faults = new VersionFaults();
    faults.died(false);
    expect(faults.reached(2)).toBe(false);
    faults.answered();
    faults.died(false);
    expect(faults.reached(2)).toBe(false);
    faults.died(false);
    expect(faults.reached(2)).toBe(true);
  });

  it('holds no number of deadly inputs against a version that has answered another', () => {
    const faults = new VersionFaults();
    faults.answered();
    for (let death = 0; death < 1_000; death += 1) faults.died(true);
    expect(faults.reached(2)).toBe(false);
  });

  it('gives up a version on which every input was deadly', () => {
    const faults = new VersionFaults();
    for (let death = 1; death < MAX_UNPROVEN_DEATHS; death += 1) faults.died(true);
    expect(faults.reached(2)).toBe(false);
    faults.died(true);
    expect(faults.reached(2)).toBe(true);
  });
});
