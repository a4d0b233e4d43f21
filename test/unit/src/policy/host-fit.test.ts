import { describe, expect, it } from 'vitest';
import { checkMemory, chooseProviders } from '../../../../src/policy/host-fit.ts';
import { refusal } from '../../../support/refusal.ts';

describe('chooseProviders', () => {
  it("takes the host's order for a version that names none", () => {
    expect(chooseProviders({}, { providers: ['cuda', 'cpu'] })).toEqual(['cuda', 'cpu']);
  });

  it('takes TensorRT for a version that names it alone', () => {
    const works = { providers: ['cuda', 'tensorrt', 'cpu'] };
    expect(chooseProviders({}, works)).toEqual(['cuda', 'cpu']);
    expect(chooseProviders({ providers: ['tensorrt', 'cpu'] }, works)).toEqual(['tensorrt', 'cpu']);
  });

  it("takes the version's order, without those that the host lacks", () => {
    const deployment = { providers: ['dml', 'cpu', 'cuda'] };
    expect(chooseProviders(deployment, { providers: ['cuda', 'cpu'] })).toEqual(['cpu', 'cuda']);
  });

  it('refuses when none is left, saying what was asked for and what is here', () => {
    expect(() =>
      chooseProviders({ providers: ['cuda', 'dml'] }, { providers: ['webgpu', 'cpu'] }),
    ).toThrow(
      refusal('ERR_INVALID_MODEL', 'version runs on cuda, dml only, this node has webgpu, cpu'),
    );
  });
});

describe('checkMemory', () => {
  it('lets a version through that says nothing of memory, or needs all there is', () => {
    expect(() => checkMemory({}, { memoryBytes: 1 })).not.toThrow();
    expect(() => checkMemory({ memoryBytes: 1_000 }, { memoryBytes: 1_000 })).not.toThrow();
  });

  it('refuses a version that needs one byte more, saying both', () => {
    expect(() => checkMemory({ memoryBytes: 1_001 }, { memoryBytes: 1_000 })).toThrow(
      refusal('ERR_LIMIT', 'version needs 1001 bytes of memory, this node has 1000 in all'),
    );
  });
});
