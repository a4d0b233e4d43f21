import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Tensor } from '../../../../protocols/tensor.ts';
import { describeOutputDifference } from '../../../../src/policy/output-comparison.ts';
import {
  dealOwners,
  differenceOfAnswers,
  isNearTie,
  type Ruling,
  ruleOnAnswers,
} from '../../../../src/policy/verification.ts';

/** Rules on answers written as letters: those with the same letter agree. */
function rule(answers: string, replicas: number, further = 9, atLeast = replicas): Ruling {
  const agree = (a: number, b: number): boolean => answers[a] === answers[b];
  return ruleOnAnswers(answers.length, agree, { replicas, atLeast }, further);
}

describe('ruleOnAnswers', () => {
  it('asks as many owners as are wanted', () => {
    expect(rule('', 3)).toEqual({ kind: 'ask', owners: 3 });
    expect(rule('a', 3)).toEqual({ kind: 'ask', owners: 2 });
  });

  it('asks no more owners than there are', () => {
    expect(rule('', 3, 2)).toEqual({ kind: 'ask', owners: 2 });
  });

  it('ends when as many agree as were wanted, whoever disagrees', () => {
    expect(rule('aaa', 3)).toEqual({
      kind: 'agreed',
      answer: 0,
      agreeing: [0, 1, 2],
      dissenting: [],
    });
    expect(rule('bcaaa', 3)).toEqual({
      kind: 'agreed',
      answer: 2,
      agreeing: [2, 3, 4],
      dissenting: [0, 1],
    });
  });

  it('asks further owners when some disagree, as many as the largest group lacks', () => {
    expect(rule('ab', 2)).toEqual({ kind: 'ask', owners: 1 });
    expect(rule('aab', 3)).toEqual({ kind: 'ask', owners: 1 });
    expect(rule('abc', 3)).toEqual({ kind: 'ask', owners: 2 });
  });

  it('asks 2 × replicas − 1 owners at most', () => {
    expect(rule('ab', 2, 9)).toEqual({ kind: 'ask', owners: 1 });
    expect(rule('abc', 2, 9)).toEqual({ kind: 'disagreed', most: 1 });
    expect(rule('aabb', 3, 9)).toEqual({ kind: 'ask', owners: 1 });
    expect(rule('aabbc', 3, 9)).toEqual({ kind: 'disagreed', most: 2 });
  });

  it('decides by more than half when nobody else can be asked', () => {
    expect(rule('aab', 3, 0)).toMatchObject({ kind: 'agreed', agreeing: [0, 1], dissenting: [2] });
    expect(rule('bbbaa', 4, 0)).toMatchObject({ kind: 'agreed', answer: 0 });
    expect(rule('ab', 2, 0)).toEqual({ kind: 'disagreed', most: 1 });
    expect(rule('aabb', 3, 0)).toEqual({ kind: 'disagreed', most: 2 });
    expect(rule('abc', 3, 0)).toEqual({ kind: 'disagreed', most: 1 });
  });

  it('takes fewer owners than were wanted only when the caller is content with them', () => {
    expect(rule('aa', 3, 0)).toEqual({ kind: 'too few' });
    expect(rule('', 3, 0)).toEqual({ kind: 'too few' });
    expect(rule('aa', 3, 0, 2)).toMatchObject({ kind: 'agreed', agreeing: [0, 1] });
    expect(rule('a', 3, 0, 1)).toMatchObject({ kind: 'agreed', agreeing: [0] });
    expect(rule('ab', 3, 0)).toEqual({ kind: 'disagreed', most: 1 });
  });

  it('takes the answer that the most agree with, since agreeing is not transitive', () => {
    // 1 is near to 0 and to 2, which are apart.
    const agree = (a: number, b: number): boolean => Math.abs(a - b) <= 1;
    expect(ruleOnAnswers(3, agree, { replicas: 3, atLeast: 3 }, 0)).toEqual({
      kind: 'agreed',
      answer: 1,
      agreeing: [0, 1, 2],
      dissenting: [],
    });
  });

  it('gives the honest answer whenever fewer owners lie than answers are wanted, were they all to tell the same lie', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 7 }), fc.nat(), fc.nat(), (replicas, lies, seed) => {
        const liars = lies % replicas;
        const owners = Array.from({ length: 2 * replicas - 1 }, (_, index) =>
          index < liars ? 'b' : 'a',
        );
        // Any order in which they are asked.
        const order = dealOwners(owners, 1, randomOf(seed))[0]?.join('') ?? '';
        let asked = '';
        for (;;) {
          const ruling = rule(asked, replicas, order.length - asked.length);
          if (ruling.kind === 'ask') {
            asked = order.slice(0, asked.length + ruling.owners);
            continue;
          }
          expect(ruling.kind).toBe('agreed');
          if (ruling.kind === 'agreed') expect(asked[ruling.answer]).toBe('a');
          return;
        }
      }),
    );
  });
});

describe('dealOwners', () => {
  it('gives every owner to one lane', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 20 }),
        fc.integer({ min: 1, max: 7 }),
        fc.nat(),
        (n, lanes, seed) => {
          const owners = Array.from({ length: n }, (_, index) => index);
          const dealt = dealOwners(owners, lanes, randomOf(seed));
          expect(dealt).toHaveLength(Math.min(n, lanes));
          expect(dealt.every((lane) => lane.length > 0)).toBe(true);
          expect(dealt.flat().toSorted((a, b) => a - b)).toEqual(owners);
        },
      ),
    );
  });

  it('deals anew each time', () => {
    const owners = ['a', 'b', 'c', 'd'];
    const firsts = new Set(
      Array.from({ length: 50 }, (_, seed) => dealOwners(owners, 2, randomOf(seed))[0]?.[0]),
    );
    expect(firsts).toEqual(new Set(owners));
  });
});

describe('differenceOfAnswers', () => {
  const tolerance = { absolute: 0.01, relative: 0 };
  const score = (value: number) => ({ name: 'score', tensor: Tensor.from('FP32', [1], [value]) });
  const label = (value: number) => ({ name: 'label', tensor: Tensor.from('INT64', [1], [value]) });
  const between = (...[a, b]: Parameters<typeof differenceOfAnswers>) => {
    const difference = differenceOfAnswers(a, b, tolerance);
    return difference === undefined ? undefined : describeOutputDifference(difference);
  };

  it('finds none within the tolerance, whatever the order of the outputs', () => {
    expect(between([score(1), label(3)], [label(3), score(1.009)], tolerance)).toBeUndefined();
  });

  it('says what was expected and found', () => {
    expect(between([score(1)], [score(1.5)], tolerance)).toBe(
      "element 0 of output 'score' is 1.5, expected 1 within 0.01 absolute and 0 relative",
    );
  });

  it('finds an output that only one of them has, whichever it is', () => {
    expect(between([score(1)], [score(1), label(3)], tolerance)).toMatch(/'label'.*missing/);
    expect(between([score(1), label(3)], [score(1)], tolerance)).toMatch(/'label' is missing/);
  });

  it('is the same both ways, though a relative tolerance is of the expected', () => {
    const relative = { absolute: 0, relative: 0.1 };
    for (const [a, b] of [
      [1, 1.105],
      [1.105, 1],
    ] as const) {
      expect(differenceOfAnswers([score(a)], [score(b)], relative)).toBeDefined();
    }
  });

  it('tells a near tie from what no tie explains, whichever output comes first', () => {
    const tie = differenceOfAnswers([label(3), score(1)], [label(4), score(1)], tolerance);
    expect(tie && isNearTie(tie)).toBe(true);
    const lie = differenceOfAnswers([label(3), score(1)], [label(4), score(2)], tolerance);
    expect(lie && isNearTie(lie)).toBe(false);
    const shape = { name: 'label', tensor: Tensor.from('INT64', [2], [3, 3]) };
    const other = differenceOfAnswers([label(3)], [shape], tolerance);
    expect(other && isNearTie(other)).toBe(false);
  });
});

/** A sequence of numbers that a seed decides. */
function randomOf(seed: number): () => number {
  let state = (seed + 1) >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
