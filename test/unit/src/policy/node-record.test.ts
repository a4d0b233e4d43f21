import { describe, expect, it } from 'vitest';
import {
  FORBIDDEN_MS,
  MIN_START_SHARE,
  NodeRecord,
  START_ANSWERS,
  START_MS,
} from '../../../../src/policy/node-record.ts';

const NOW_MS = 50_000;

function reported(inFlight: number, queued = 0) {
  return { inFlight, queued, slots: 1, serviceMs: 20 };
}

describe('NodeRecord', () => {
  it('counts its own open requests once, whether or not a report has them', () => {
    const record = new NodeRecord(NOW_MS);
    record.reserve(NOW_MS);
    record.reserve(NOW_MS);
    expect(record.waiting).toBe(2);
    // Both are among the three that the node has.
    record.report(reported(1, 2), NOW_MS);
    expect(record.waiting).toBe(3);
    record.reserve(NOW_MS);
    expect(record.waiting).toBe(4);
    record.release();
    record.release();
    record.release();
    expect(record.waiting).toBe(3 - 2 + 2);
  });

  it('takes an announcement to know nothing of its own requests', () => {
    const record = new NodeRecord(NOW_MS);
    record.reserve(NOW_MS);
    record.report(reported(2), NOW_MS, 0);
    expect(record.waiting).toBe(3);
  });

  it('keeps the younger of two reports', () => {
    const record = new NodeRecord(0);
    record.report(reported(5), NOW_MS);
    record.report(reported(9), NOW_MS - 1);
    expect(record.load.inFlight).toBe(5);
    expect(record.loadAgeMs(NOW_MS + 7)).toBe(7);
  });

  it('lets reservations go exactly once', () => {
    const record = new NodeRecord(0);
    record.release();
    record.reserve(NOW_MS);
    expect(record.open).toBe(1);
    record.release();
    expect(record.open).toBe(0);
    expect(record.lastSentAtMs).toBe(NOW_MS);
  });

  it('knows the time of a size after three answers', () => {
    const record = new NodeRecord(0);
    for (const [elements, ms] of [
      [100, 10],
      [200, 20],
    ] as const)
      record.answered(elements, ms);
    expect(record.serviceMs(400)).toBeNull();
    record.answered(300, 30);
    expect(record.serviceMs(400)).toBeCloseTo(40, 5);
  });

  it('cools for 15 s, and longer after each failure, until an answer', () => {
    const record = new NodeRecord(0);
    record.broke(NOW_MS, NOW_MS);
    expect(record.coolingUntilMs).toBe(NOW_MS + 15_000);
    record.broke(NOW_MS + 20_000, NOW_MS + 20_000);
    expect(record.coolingUntilMs).toBe(NOW_MS + 20_000 + 30_000);
    record.answered(1, 1);
    expect(record.coolingUntilMs).toBe(0);
  });

  it('takes many requests lost with one connection for one failure', () => {
    const record = new NodeRecord(0);
    for (let lost = 0; lost < 50; lost += 1) record.broke(NOW_MS + lost, NOW_MS - 100);
    expect(record.coolingUntilMs).toBe(NOW_MS + 15_000);
  });

  it('counts a failure as a very slow answer that is forgotten by and by', () => {
    const record = new NodeRecord(0);
    expect(record.penaltyMs(NOW_MS)).toBe(0);
    record.failed(NOW_MS);
    expect(record.penaltyMs(NOW_MS)).toBe(1_000);
    expect(record.penaltyMs(NOW_MS + 5_000)).toBe(500);
    expect(record.coolingUntilMs).toBe(0);
    record.answered(1, 1);
    expect(record.penaltyMs(NOW_MS + 5_000)).toBe(250);
    for (let failures = 0; failures < 99; failures += 1) record.failed(NOW_MS + 5_000);
    expect(record.penaltyMs(NOW_MS + 5_000)).toBe(30_000);
  });

  it('holds it against a node that another was quicker for as long as it took, longer each time until it answers', () => {
    const record = new NodeRecord(0);
    record.outpaced(300, NOW_MS);
    expect(record.penaltyMs(NOW_MS + 299)).toBe(300);
    expect(record.penaltyMs(NOW_MS + 300)).toBe(0);
    record.outpaced(200, NOW_MS + 1_000);
    expect(record.penaltyMs(NOW_MS + 1_499)).toBe(500);
    expect(record.penaltyMs(NOW_MS + 1_500)).toBe(0);
    record.answered(1, 1);
    record.outpaced(100, NOW_MS + 2_000);
    expect(record.penaltyMs(NOW_MS + 2_000)).toBe(100);
  });

  it('starts slowly, by time or by answers, and again after it cooled', () => {
    const record = new NodeRecord(NOW_MS);
    expect(record.startShare(NOW_MS)).toBe(MIN_START_SHARE);
    expect(record.startShare(NOW_MS + START_MS / 2)).toBe(0.5);
    expect(record.startShare(NOW_MS + START_MS)).toBe(1);
    for (let answers = 0; answers < START_ANSWERS / 4; answers += 1) record.answered(1, 1);
    expect(record.startShare(NOW_MS)).toBe(0.25);
    record.broke(NOW_MS + START_MS, NOW_MS + START_MS);
    expect(record.startShare(record.coolingUntilMs)).toBe(MIN_START_SHARE);
  });

  it('remembers the least size that was refused', () => {
    const record = new NodeRecord(0);
    record.refused(5_000);
    record.refused(9_000);
    expect(record.refusedBytes).toBe(5_000);
  });

  it('remembers for a minute that this caller was refused, and what for', () => {
    const record = new NodeRecord(0);
    record.forbade(NOW_MS, true);
    expect(record.forbiddenUntilMs(true)).toBe(NOW_MS + FORBIDDEN_MS);
    expect(record.forbiddenUntilMs(false)).toBe(0);
    record.forbade(NOW_MS + 1, false);
    expect(record.forbiddenUntilMs(true)).toBe(NOW_MS + 1 + FORBIDDEN_MS);
    expect(record.forbiddenUntilMs(false)).toBe(NOW_MS + 1 + FORBIDDEN_MS);
    record.answered(1, 1);
    expect(record.forbiddenUntilMs(false)).toBe(0);
    expect(record.forbiddenUntilMs(true)).toBe(NOW_MS + FORBIDDEN_MS);
  });
});
