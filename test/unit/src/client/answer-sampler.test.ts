import { describe, expect, it } from 'vitest';
import type { SignedReceipt } from '../../../../protocols/receipt/index.ts';
import { Tensor } from '../../../../protocols/tensor.ts';
import type { NodeId, OwnerId, PublisherId, VersionCid } from '../../../../protocols/types.ts';
import { AnswerSampler, type CheckAnswer } from '../../../../src/client/answer-sampler.ts';
import { resolveInferOptions } from '../../../../src/client/infer-options.ts';
import { resolveSamplingInit, type SamplingInit } from '../../../../src/client/sampling-init.ts';
import type { SignedResult, VerifiedAnswer } from '../../../../src/client/verified-call.ts';
import type { GivenAnswer } from '../../../../src/client/verifier.ts';

const MIB = 1024 * 1024;

function given(node: string, { provider = 'cpu', bytes = 4 } = {}): GivenAnswer {
  const x = new Tensor('UINT8', [bytes], new Uint8Array(bytes));
  const receipt = { bytes: new Uint8Array(), receipt: { provider } } as SignedReceipt;
  return {
    model: { publisher: 'p' as PublisherId, name: 'm', cid: 'v' as VersionCid },
    inputs: [{ name: 'x', tensor: x }],
    options: resolveInferOptions({ priority: 9 }, { deadlineMs: 1_000 }),
    result: {
      ...{ outputs: { y: x }, version: 'v' as VersionCid, sequence: 0, channel: null },
      ...{ fellBack: false, latencyMs: 1, queueMs: 0, executeMs: 1, failedAttempts: [], receipt },
      node: node as NodeId,
      owner: node as unknown as OwnerId,
    },
  };
}

/** A sampler whose checks come to what is said, and what it had checked. */
function samplerOf(init: SamplingInit, agrees: (answer: GivenAnswer) => boolean = () => true) {
  const checked: GivenAnswer[] = [];
  const check: CheckAnswer = async (answer) => {
    checked.push(answer);
    const agreeing: readonly SignedResult[] = agrees(answer) ? [answer.result] : [];
    return { agreeing } as unknown as VerifiedAnswer;
  };
  const sampler = new AnswerSampler(check, resolveSamplingInit(init));
  /** Offers answers, each once the one before was checked. */
  const offer = async (...answers: readonly GivenAnswer[]): Promise<void> => {
    for (const answer of answers) {
      sampler.offer(answer);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { sampler, checked, offer };
}

const many = (count: number, ...args: Parameters<typeof given>): readonly GivenAnswer[] =>
  Array.from({ length: count }, () => given(...args));

describe('AnswerSampler', () => {
  const thorough = { firstAnswers: 3, share: 0, budget: 1 };

  it('has all first answers of a new node checked, on each provider anew, then none beyond its share', async () => {
    const { checked, offer } = samplerOf(thorough);
    await offer(...many(9, 'a'));
    expect(checked).toHaveLength(3);
    await offer(...many(9, 'a', { provider: 'cuda' }), ...many(9, 'b'));
    expect(checked).toHaveLength(9);
  });

  it('gives no credit for an answer that nobody agrees with', async () => {
    const { checked, offer } = samplerOf(thorough, () => false);
    await offer(...many(9, 'a'));
    expect(checked).toHaveLength(9);
  });

  it('keeps to its budget where every node is new', async () => {
    const { checked, offer } = samplerOf({ firstAnswers: 1000, share: 0, budget: 0.1 });
    await offer(...many(100, 'a'));
    // Ten at once, and one in ten after.
    expect(checked.length).toBeGreaterThanOrEqual(10);
    expect(checked.length).toBeLessThanOrEqual(20);
  });

  it('copies what it has checked, and lets it wait behind all calls', async () => {
    const { checked, offer } = samplerOf(thorough);
    const answer = given('a');
    await offer(answer);
    answer.inputs[0]?.tensor.bytes.fill(7);
    answer.result.outputs['y']?.bytes.fill(7);
    const [copy] = checked;
    expect(copy?.inputs[0]?.tensor.bytes).toEqual(new Uint8Array(4));
    expect(copy?.result.outputs['y']?.bytes).toEqual(new Uint8Array(4));
    expect(copy?.options.priority).toBe(0);
  });

  it('has no answer to a request of over 4 MiB checked', async () => {
    const { checked, offer } = samplerOf(thorough);
    await offer(given('a', { bytes: 4 * MIB + 1 }));
    expect(checked).toEqual([]);
    await offer(given('a', { bytes: 4 * MIB }));
    expect(checked).toHaveLength(1);
  });

  it('has two checks under way at most, which it gives up when it is closed', async () => {
    const signals: AbortSignal[] = [];
    const sampler = new AnswerSampler(async (_, __, { signal }) => {
      signals.push(signal);
      const { promise, reject } = Promise.withResolvers<never>();
      signal.addEventListener('abort', () => reject(signal.reason));
      return promise;
    }, resolveSamplingInit(thorough));
    for (const answer of many(5, 'a')) sampler.offer(answer);
    expect(signals).toHaveLength(2);
    await sampler.close();
    expect(signals.every(({ aborted }) => aborted)).toBe(true);
    sampler.offer(given('a'));
    expect(signals).toHaveLength(2);
  });
});
