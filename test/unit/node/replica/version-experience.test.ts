import { describe, expect, it } from 'vitest';
import { VersionExperience } from '../../../../node/replica/version-experience.ts';
import { Tensor } from '../../../../protocols/tensor.ts';
import type { VersionCid } from '../../../../protocols/types.ts';

const input = [{ name: 'x', tensor: Tensor.from('FP32', [1], [13]) }];
const version = (index: number) => `v${index}` as VersionCid;

describe('VersionExperience', () => {
  it('remembers the deadly inputs of 256 versions, those that were loaded last', () => {
    const experience = new VersionExperience();
    for (let death = 0; death < 2; death += 1) experience.deadlyInputs(version(0)).add(input);
    for (let index = 1; index <= 255; index += 1) experience.deadlyInputs(version(index));
    expect(() => experience.deadlyInputs(version(0)).check(input)).toThrow(/run no more/);
    expect(() => experience.deadlyInputs(version(1)).check(input)).not.toThrow();
    for (let index = 256; index <= 509; index += 1) experience.deadlyInputs(version(index));
    expect(() => experience.deadlyInputs(version(0)).check(input)).toThrow(/run no more/);
    for (let index = 510; index <= 765; index += 1) experience.deadlyInputs(version(index));
    expect(() => experience.deadlyInputs(version(0)).check(input)).not.toThrow();
  });
});
