import { quoted } from '../../protocols/quoted.ts';
import type { ModelInterface } from './model-scan.ts';

/** What the publisher of a model that may be served should know of it, in sentences. */
export function modelNotes({ omittedOutputs, loops }: ModelInterface): string[] {
  const notes = omittedOutputs.map(({ name, type }) => {
    const what = `output ${quoted(name)} is left out, no answer can carry it: ${type}`;
    // What scikit-learn's converters make of a classifier's probabilities unless told otherwise.
    return type.includes('map(') ? `${what}; skl2onnx exports a tensor with zipmap=False` : what;
  });
  if (loops.length > 0) {
    const operators = [...new Set(loops)].map((name) => quoted(name)).join(', ');
    notes.push(
      `${operators} can run for as long as a caller's input says: nodes stop that by their --loop-limit, and some refuse such models`,
    );
  }
  return notes;
}
