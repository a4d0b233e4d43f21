import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { capacityBucket } from '../../../../protocols/capacity/index.ts';
import { decodeDeathReport, encodeDeathReport } from '../../../../protocols/liveness/index.ts';
import type { NodeId } from '../../../../protocols/types.ts';
import { DeathReports } from '../../../../src/swarm/death-reports.ts';
import { VERSION } from '../../../support/inference-peers.ts';

const NODE = '12D3dead' as NodeId;

function open(gone: (node: NodeId) => boolean | undefined) {
  const published: { readonly bucket: number; readonly node: NodeId }[] = [];
  const verify = vi.fn(async (node: NodeId) => gone(node));
  const reports = new DeathReports({
    topics: () => ({
      has: () => true,
      publish: async (bucket, bytes) => published.push({ bucket, ...decodeDeathReport(bytes) }) > 0,
    }),
    verify,
  });
  let salt = 0;
  const hear = (from: string, node = NODE): TopicValidatorResult => {
    salt += 1;
    return reports.receive(encodeDeathReport({ node, salt }), from);
  };
  return { reports, verify, hear, published };
}

describe('DeathReports', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('tells of a death in the topics of the node and of all it held', async () => {
    const { reports, published } = open(() => true);
    reports.tell(NODE, [VERSION]);
    await vi.advanceTimersByTimeAsync(1_000);
    const buckets = new Set([capacityBucket(NODE), capacityBucket(VERSION)]);
    expect(new Set(published.map(({ bucket }) => bucket))).toEqual(buckets);
  });

  it('leaves it to two others who have told before its turn', async () => {
    const { reports, hear, published } = open(() => true);
    hear('one');
    hear('one');
    reports.tell(NODE, []);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(published).toHaveLength(1);
    hear('one');
    hear('two');
    reports.tell(NODE, []);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(published).toHaveLength(1);
  });

  it('hands on nothing of what it hears, and rejects what is no report', () => {
    const { reports, hear } = open(() => true);
    expect(hear('one')).toBe(TopicValidatorResult.Ignore);
    expect(reports.receive(new Uint8Array(3), 'one')).toBe(TopicValidatorResult.Reject);
  });

  it('stops looking for nodes on the word of a peer that was wrong too often, and goes on for others', async () => {
    const { verify, hear } = open(() => false);
    for (let index = 0; index < 20; index += 1) {
      hear('liar', `12D3living-${index}` as NodeId);
      await vi.advanceTimersByTimeAsync(0);
    }
    expect(verify).toHaveBeenCalledTimes(8);
    hear('honest');
    expect(verify).toHaveBeenCalledTimes(9);
  });

  it('forgets who was silent for longest, not one that goes on being wrong', async () => {
    const { verify, hear } = open(() => false);
    const liar = async (): Promise<void> => {
      hear('liar', '12D3living' as NodeId);
      await vi.advanceTimersByTimeAsync(0);
    };
    for (let index = 0; index < 9; index += 1) await liar();
    for (let index = 0; index < 4_095; index += 1) hear(`other-${index}`);
    await liar();
    hear('one more');
    verify.mockClear();
    await liar();
    expect(verify).not.toHaveBeenCalled();
  });

  it('looks for no more nodes on the word of one peer than a rack holds, however true it is', async () => {
    const { verify, hear } = open(() => true);
    for (let index = 0; index < 300; index += 1) hear('one', `12D3dead-${index}` as NodeId);
    expect(verify).toHaveBeenCalledTimes(200);
  });
});
