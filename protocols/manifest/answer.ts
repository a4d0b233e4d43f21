import { z } from 'zod';

/** How a person reads the outputs: which tensor is the answer, and which says how sure the model is. */
export type Answer =
  /** Class = `classLabels` at the largest value of `output`'s last axis; that value is the confidence. */
  | { readonly kind: 'argmax'; readonly output: string }
  /** `output` is a BYTES tensor with the label itself; the largest value of `confidence` is the confidence. */
  | { readonly kind: 'label'; readonly output: string; readonly confidence?: string | undefined }
  /** `output` holds indices, best first, into `classLabels`; `scores` holds a score per index. */
  | {
      readonly kind: 'ranking';
      readonly output: string;
      readonly scores?: string | undefined;
      /** How many are shown. @default 3 */
      readonly top?: number | undefined;
    };

const name = z.string().min(1).max(1024);

const argmax = { kind: z.literal('argmax'), output: name };
const label = { kind: z.literal('label'), output: name, confidence: name.optional() };
const ranking = {
  kind: z.literal('ranking'),
  output: name,
  scores: name.optional(),
  top: z.int().min(1).max(1000).optional(),
};

/** As a manifest has it: keys of a later program are ignored. */
export const answerSchema = z.discriminatedUnion('kind', [
  z.object(argmax),
  z.object(label),
  z.object(ranking),
]);

/** As a package file has it: an unknown key is an error. */
export const strictAnswerSchema = z.discriminatedUnion('kind', [
  z.strictObject(argmax),
  z.strictObject(label),
  z.strictObject(ranking),
]);

/** The names of outputs that an answer refers to. */
export function answerOutputs(answer: Answer): string[] {
  if (answer.kind === 'argmax') return [answer.output];
  const second = answer.kind === 'label' ? answer.confidence : answer.scores;
  return second === undefined ? [answer.output] : [answer.output, second];
}
