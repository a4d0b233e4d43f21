import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import {
  BusyError,
  DeadlineError,
  ExecutionError,
  InvalidInputError,
  NoNodeError,
  type SwarmError,
} from '../../../../protocols/errors.ts';
import type { SignedReceipt } from '../../../../protocols/receipt/index.ts';
import { isRetryableElsewhere } from '../../../../protocols/status.ts';
import { Tensor } from '../../../../protocols/tensor.ts';
import type { NodeId, OwnerId, VersionCid } from '../../../../protocols/types.ts';
import { CallClock } from '../../../../src/client/call-clock.ts';
import type { InferResult } from '../../../../src/client/infer-result.ts';
import { type LaneOptions, VerifiedCall } from '../../../../src/client/verified-call.ts';
import type { VerificationRule } from '../../../../src/policy/verification.ts';

/** What a node of an owner does with the request: a number is its answer. */
type Owned = number | SwarmError | 'silent';

const receipt = { bytes: new Uint8Array(), receipt: { provider: 'cpu' } } as SignedReceipt;

function answerOf(owner: OwnerId, value: number): InferResult {
  return {
    outputs: { y: Tensor.from('FP32', [1], [value]) },
    version: 'v' as VersionCid,
    ...{ sequence: 0, channel: null, fellBack: false, latencyMs: 1, queueMs: 0, executeMs: 1 },
    node: `node of ${owner}` as NodeId,
    owner,
    failedAttempts: [],
    receipt,
  };
}

/** Owners by name, some of whom are known only once the peers around were asked; each lane asks its first. */
class Owners {
  readonly asked: string[] = [];
  refreshed = 0;
  readonly #known: Map<string, Owned>;
  readonly #others: Readonly<Record<string, Owned>>;

  constructor(
    known: Readonly<Record<string, Owned>>,
    others: Readonly<Record<string, Owned>> = {},
  ) {
    this.#known = new Map(Object.entries(known));
    this.#others = others;
  }

  async call(rule: VerificationRule, deadlineMs = 5_000) {
    using clock = new CallClock(deadlineMs, undefined);
    const call = new VerifiedCall(
      {
        owners: () => [...this.#known.keys()] as OwnerId[],
        refresh: async () => {
          this.refreshed += 1;
          for (const [owner, does] of Object.entries(this.#others)) this.#known.set(owner, does);
        },
        run: (lane) => this.#run(lane),
        random: () => 0.5,
      },
      { what: 'p/m', rule, clock, tolerance: { absolute: 0.1, relative: 0 } },
    );
    return call.run();
  }

  /** From owner to owner of a lane, as a routed call goes. */
  async #run({ avoid, deadlineMs, onSent }: LaneOptions): Promise<InferResult> {
    let refused: SwarmError = new NoNodeError('nobody is in the lane');
    for (const [name, does] of this.#known) {
      const owner = name as OwnerId;
      if (avoid.owners.has(owner)) continue;
      this.asked.push(owner);
      onSent(owner);
      if (typeof does === 'number') return answerOf(owner, does);
      if (does === 'silent') {
        await delay(deadlineMs);
        throw new DeadlineError('no answer', 'total');
      }
      if (!isRetryableElsewhere(does)) throw does;
      refused = does;
    }
    throw refused;
  }
}

const three: VerificationRule = { replicas: 3, atLeast: 3 };

describe('VerifiedCall', () => {
  it('asks as many owners as were wanted, and nobody else while they agree', async () => {
    const owners = new Owners({ a: 1, b: 1.05, c: 1, d: 1, e: 1 });
    const { verification } = await owners.call(three);
    expect(verification).toMatchObject({ replicas: 3, agreed: 3, witnesses: { length: 3 } });
    expect(owners.asked).toHaveLength(3);
    expect(owners.refreshed).toBe(0);
  });

  it('asks further owners when one differs, and names who does', async () => {
    const owners = new Owners({ a: 1, b: 2, c: 1, d: 1 });
    const { verification, dissenting } = await owners.call(three);
    expect(verification).toMatchObject({ agreed: 3, witnesses: { length: 4 } });
    expect(owners.asked).toHaveLength(4);
    expect(dissenting.map(({ result }) => result.owner)).toEqual(['b']);
  });

  it('looks for owners that are not known yet before it takes more than half of few', async () => {
    const owners = new Owners({ a: 1, b: 2, c: 2 }, { d: 1, e: 1 });
    const { result, verification } = await owners.call(three);
    expect(owners.refreshed).toBe(1);
    expect(result.outputs['y']?.toArray()).toEqual([1]);
    expect(verification).toMatchObject({ agreed: 3, witnesses: { length: 5 } });
  });

  it('is told that more than half decided where nobody else is found', async () => {
    const { verification } = await new Owners({ a: 1, b: 2, c: 1 }).call(three);
    expect(verification).toMatchObject({ replicas: 3, agreed: 2, witnesses: { length: 3 } });
  });

  it('passes over an owner who is silent, when another can be asked, within the deadline', async () => {
    const owners = new Owners({ silent: 'silent', b: 1, c: 1, d: 1 });
    const { verification } = await owners.call(three, 400);
    expect(verification.agreed).toBe(3);
    expect(verification.witnesses.map(({ owner }) => owner)).not.toContain('silent');
  });

  it('does without a silent owner where fewer answers are enough', async () => {
    const owners = new Owners({ silent: 'silent', b: 1, c: 1 });
    const { verification } = await owners.call({ replicas: 3, atLeast: 2 }, 400);
    expect(verification).toMatchObject({ replicas: 3, agreed: 2 });
  });

  it('gives a silent owner all of the time when nobody else can be asked', async () => {
    const owners = new Owners({ silent: 'silent', b: 1, c: 1 });
    await expect(owners.call(three, 300)).rejects.toBeInstanceOf(Error);
    expect(owners.asked.filter((owner) => owner === 'silent')).toHaveLength(1);
  });

  it('asks others for an owner that has no room, and waits for it where there are none', async () => {
    const busy = new BusyError('full', 10);
    const enough = await new Owners({ a: busy, b: 1, c: 1, d: 1 }).call(three);
    expect(enough.verification.agreed).toBe(3);
    const short = new Owners({ a: busy, b: 1, c: 1 });
    await expect(short.call(three, 500)).rejects.toMatchObject({
      code: 'ERR_NO_NODE',
      message: 'p/m was answered by nodes of 2 owners, expected at least 3',
      cause: busy,
    });
    expect(short.asked.filter((owner) => owner === 'a').length).toBeGreaterThan(1);
  });

  it('ends at once on what every owner would say the same', async () => {
    const wrong = new InvalidInputError('x has another shape');
    await expect(new Owners({ a: wrong, b: 1, c: 1 }).call(three)).rejects.toBe(wrong);
  });

  it('ends when the model fails on nodes of two owners, not of one', async () => {
    const failed = new ExecutionError('index out of range');
    const one = await new Owners({ a: failed, b: 1, c: 1, d: 1 }).call(three);
    expect(one.verification.agreed).toBe(3);
    const two = new Owners({ a: failed, b: failed, c: 1 });
    await expect(two.call(three)).rejects.toBe(failed);
  });

  it('says of a disagreement who answered, and where they differ', async () => {
    await expect(new Owners({ a: 1, b: 2, c: 3 }).call(three)).rejects.toMatchObject({
      code: 'ERR_DISAGREEMENT',
      message: expect.stringContaining("element 0 of output 'y' is 2, expected 1"),
      details: { most: 1, answers: { length: 3 } },
    });
  });
});
