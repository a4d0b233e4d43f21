import { InvalidModelError } from '../../protocols/errors.ts';
import type { Answer, Manifest } from '../../protocols/manifest/index.ts';
import { quoted } from '../../protocols/quoted.ts';
import { formatShape, type Tensor } from '../../protocols/tensor.ts';

/** How many of a ranking are shown when the manifest does not say. */
const DEFAULT_TOP = 3;

/** Names shown when one is missing: a message has an end, a model may have a thousand outputs. */
const MAX_SHOWN_NAMES = 20;

/** One label of a ranking. */
export interface RankedLabel {
  readonly label: string;
  /** In the model's own unit; null when it gives none. */
  readonly score: number | null;
}

/** What a model says about one row of a batch, as a person reads it. */
export interface ModelAnswer {
  /** The label; of a ranking the best one. */
  readonly text: string;
  /** In the model's own unit, a probability for most; null when the model gives none. */
  readonly confidence: number | null;
  /** Best first, at most as many as the manifest shows; of a ranking only. */
  readonly ranked?: readonly RankedLabel[] | undefined;
}

/** An output's elements in row-major order. */
interface Output<T> {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: readonly T[];
}

/**
 * Reads a model's outputs by its manifest: one answer per row of the batch, `[]` when the manifest does not say how.
 *
 * @throws {ERR_INVALID_MODEL} when an output is missing or not of the shape and datatype that the manifest's answer needs, or
 * a label has no name; says what was expected and found.
 */
export function readAnswers(
  manifest: Manifest,
  outputs: Readonly<Record<string, Tensor>>,
): readonly ModelAnswer[] {
  const { answer, classLabels } = manifest;
  switch (answer?.kind) {
    case undefined:
      return [];
    case 'argmax':
      return readArgmax(numbersOf(outputs, answer.output), classLabels);
    case 'label':
      return readLabels(answer, outputs);
    case 'ranking':
      return readRankings(answer, outputs, classLabels);
  }
}

function readArgmax(
  scores: Output<number>,
  classLabels: readonly string[] | undefined,
): readonly ModelAnswer[] {
  return rowsOfLastAxis(scores).map((row, index) => {
    if (classLabels !== undefined && row.length !== classLabels.length) {
      throw wrongShape(scores, `a last axis of ${classLabels.length}, one for each class label`);
    }
    const best = indexOfLargest(scores, row, index);
    return { text: labelOf(classLabels, best, scores.name), confidence: row[best] ?? null };
  });
}

function readLabels(
  answer: Extract<Answer, { kind: 'label' }>,
  outputs: Readonly<Record<string, Tensor>>,
): readonly ModelAnswer[] {
  const labels = stringsOf(outputs, answer.output);
  const batch = labels.values.length;
  if (batch !== (labels.shape[0] ?? 1)) throw wrongShape(labels, '[batch], a label for each row');
  if (answer.confidence === undefined) {
    return labels.values.map((text) => ({ text, confidence: null }));
  }
  const scores = numbersOf(outputs, answer.confidence);
  const width = batch === 0 ? 0 : scores.values.length / batch;
  if (batch > 0 && (width === 0 || !Number.isInteger(width))) {
    throw wrongShape(scores, `a first axis of ${batch}, as ${quoted(labels.name)} has`);
  }
  return labels.values.map((text, index) => {
    const row = scores.values.slice(index * width, (index + 1) * width);
    return { text, confidence: row[indexOfLargest(scores, row, index)] ?? null };
  });
}

function readRankings(
  answer: Extract<Answer, { kind: 'ranking' }>,
  outputs: Readonly<Record<string, Tensor>>,
  classLabels: readonly string[] | undefined,
): readonly ModelAnswer[] {
  const ranking = numbersOf(outputs, answer.output);
  const scores = answer.scores === undefined ? undefined : numbersOf(outputs, answer.scores);
  if (scores !== undefined && formatShape(scores.shape) !== formatShape(ranking.shape)) {
    throw wrongShape(scores, `${formatShape(ranking.shape)}, as ${quoted(ranking.name)} has`);
  }
  const scoreRows = scores === undefined ? undefined : rowsOfLastAxis(scores);
  return rowsOfLastAxis(ranking).map((row, index) => {
    const ranked = row.slice(0, answer.top ?? DEFAULT_TOP).map((item, rank) => ({
      label: labelOf(classLabels, item, ranking.name),
      score: scoreRows?.[index]?.[rank] ?? null,
    }));
    const [best] = ranked;
    if (best === undefined) throw wrongShape(ranking, 'at least one index for each row');
    return { text: best.label, confidence: best.score, ranked };
  });
}

function numbersOf(outputs: Readonly<Record<string, Tensor>>, name: string): Output<number> {
  const tensor = outputOf(outputs, name);
  if (tensor.datatype === 'BYTES' || tensor.datatype === 'BOOL') {
    throw new InvalidModelError(
      `output ${quoted(name)} has datatype ${tensor.datatype}, expected numbers, as the manifest's answer says`,
    );
  }
  return { name, shape: tensor.shape, values: (tensor.toArray() as unknown[]).map(Number) };
}

function stringsOf(outputs: Readonly<Record<string, Tensor>>, name: string): Output<string> {
  const tensor = outputOf(outputs, name);
  if (tensor.datatype !== 'BYTES') {
    throw new InvalidModelError(
      `output ${quoted(name)} has datatype ${tensor.datatype}, expected BYTES, as the manifest's answer says`,
    );
  }
  return { name, shape: tensor.shape, values: tensor.strings() };
}

function outputOf(outputs: Readonly<Record<string, Tensor>>, name: string): Tensor {
  const tensor = Object.hasOwn(outputs, name) ? outputs[name] : undefined;
  if (tensor !== undefined) return tensor;
  const found = Object.keys(outputs).slice(0, MAX_SHOWN_NAMES).map(quoted).join(', ');
  throw new InvalidModelError(
    `output ${quoted(name)} is missing, which the manifest's answer reads; found ${found === '' ? 'none' : found}`,
  );
}

/** `[batch, …, length]` as its rows, where the axes between are 1; `[length]` is one row. */
function rowsOfLastAxis(output: Output<number>): readonly (readonly number[])[] {
  const { shape, values } = output;
  const length = shape.at(-1);
  const batch = shape.length > 1 ? (shape[0] ?? 1) : 1;
  if (length === undefined || batch * length !== values.length) {
    throw wrongShape(output, '[batch, n] or [n]');
  }
  return Array.from({ length: batch }, (_, row) => values.slice(row * length, (row + 1) * length));
}

function indexOfLargest(output: Output<number>, row: readonly number[], index: number): number {
  let best = -1;
  for (const [at, value] of row.entries()) {
    if (!Number.isNaN(value) && (best < 0 || value > (row[best] ?? 0))) best = at;
  }
  if (best >= 0) return best;
  throw new InvalidModelError(
    `output ${quoted(output.name)} of shape ${formatShape(output.shape)} has no number in row ${index}, expected at least one that is not NaN`,
  );
}

function labelOf(
  classLabels: readonly string[] | undefined,
  index: number,
  output: string,
): string {
  if (classLabels === undefined) return String(index);
  const label = classLabels[index];
  if (label !== undefined) return label;
  throw new InvalidModelError(
    `output ${quoted(output)} holds index ${index}, expected an integer from 0 to ${classLabels.length - 1}, one of the class labels`,
  );
}

function wrongShape({ name, shape }: Output<unknown>, expected: string): InvalidModelError {
  return new InvalidModelError(
    `output ${quoted(name)} has shape ${formatShape(shape)}, expected ${expected}`,
  );
}
