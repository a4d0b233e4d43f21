import { describe, expect, it } from 'vitest';
import { modelNotes } from '../../../../src/model/model-notes.ts';
import type { ModelInterface } from '../../../../src/model/model-scan.ts';

const PLAIN: ModelInterface = {
  inputs: [],
  outputs: [],
  omittedOutputs: [],
  controlFlow: [],
  loops: [],
};

describe('modelNotes', () => {
  it('has nothing to say of a model all of which is served', () => {
    expect(modelNotes({ ...PLAIN, controlFlow: ['If'] })).toEqual([]);
  });

  it('names each output that no answer can carry, and what exports maps as a tensor', () => {
    const omittedOutputs = [
      { name: 'scores', type: 'seq(map(int64,tensor(float)))' },
      { name: '__proto__', type: 'name that the runtime cannot return' },
    ];
    expect(modelNotes({ ...PLAIN, omittedOutputs })).toEqual([
      "output 'scores' is left out, no answer can carry it: seq(map(int64,tensor(float))); skl2onnx exports a tensor with zipmap=False",
      "output '__proto__' is left out, no answer can carry it: name that the runtime cannot return",
    ]);
  });

  it('says once that a model can loop', () => {
    const [note, ...others] = modelNotes({ ...PLAIN, loops: ['Loop', 'Scan', 'Loop'] });
    expect(note).toMatch(/^'Loop', 'Scan' can run for as long/);
    expect(others).toEqual([]);
  });
});
