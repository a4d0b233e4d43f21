import { TOKEN_INPUTS } from '../../../protocols/manifest/index.ts';
import { Tensor } from '../../../protocols/tensor.ts';
import type { TensorSpec } from '../../../protocols/types.ts';

/** Texts that go to a node at once: some hundred would keep others waiting. */
const MAX_ROWS = 32;

/** Tokens of all rows of a batch, filled up: their vectors come back, of which each has thousands of bytes. */
const MAX_BATCH_TOKENS = 8192;

/** Texts that run together, the shorter filled up to the longest. */
export interface TokenBatch {
  /** Where among the texts each row is; rows beyond these fill up a batch whose size the model fixes. */
  readonly texts: readonly number[];
  /** Tokens of each row of {@link texts}. */
  readonly lengths: readonly number[];
  readonly inputs: Readonly<Record<string, Tensor>>;
}

export interface TokenBatchesInit {
  /** Of the model: at most the three of {@link TOKEN_INPUTS}. */
  readonly inputs: readonly TensorSpec[];
  /** Rows that the version may run at once; null for any. */
  readonly maxBatch: number | null;
}

/** The tokens that a text may have where the model fixes how many it takes; undefined where it does not. */
export function fixedTokens(inputs: readonly TensorSpec[]): number | undefined {
  return inputs.map(({ shape: [, tokens] }) => tokens).find((size) => typeof size === 'number');
}

/** Puts texts of like length together, so that little is run that only fills up. */
export function planTokenBatches(
  texts: readonly Int32Array[],
  { inputs, maxBatch }: TokenBatchesInit,
): TokenBatch[] {
  const fixedRows = inputs.map(({ shape: [rows] }) => rows).find((n) => typeof n === 'number');
  const maxRows = fixedRows ?? Math.min(MAX_ROWS, maxBatch ?? MAX_ROWS);
  const width = fixedTokens(inputs);
  const lengthOf = (text: number): number => texts[text]?.length ?? 0;
  const byLength = [...texts.keys()].toSorted((a, b) => lengthOf(a) - lengthOf(b));
  const groups: number[][] = [];
  let group: number[] = [];
  for (const text of byLength) {
    // They come from short to long: the one that joins says how wide all are.
    const tokens = (group.length + 1) * (width ?? lengthOf(text));
    if (group.length >= maxRows || (group.length > 0 && tokens > MAX_BATCH_TOKENS)) {
      groups.push(group);
      group = [];
    }
    group.push(text);
  }
  groups.push(group);
  return groups.map((members) => {
    const lengths = members.map(lengthOf);
    const shape = [fixedRows ?? members.length, width ?? Math.max(...lengths)] as const;
    const tokens = members.map((text) => texts[text] ?? new Int32Array());
    return { texts: members, lengths, inputs: fill(inputs, shape, tokens) };
  });
}

function fill(
  inputs: readonly TensorSpec[],
  shape: readonly [rows: number, tokens: number],
  texts: readonly Int32Array[],
): Record<string, Tensor> {
  const [rows, width] = shape;
  const ids = new BigInt64Array(rows * width);
  const mask = new BigInt64Array(rows * width);
  for (let row = 0; row < rows; row += 1) {
    // A row that is too many repeats the last: one without a token might be divided by nothing.
    const text = texts[Math.min(row, texts.length - 1)] ?? new Int32Array();
    text.forEach((id, at) => {
      ids[row * width + at] = BigInt(id);
      mask[row * width + at] = 1n;
    });
  }
  const values: Readonly<Record<string, BigInt64Array>> = {
    [TOKEN_INPUTS.ids]: ids,
    [TOKEN_INPUTS.mask]: mask,
    [TOKEN_INPUTS.types]: new BigInt64Array(rows * width),
  };
  return Object.fromEntries(
    inputs.map(({ name }) => [name, Tensor.from('INT64', shape, values[name] ?? ids)]),
  );
}
