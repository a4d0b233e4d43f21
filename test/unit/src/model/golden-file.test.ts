import { describe, expect, it } from 'vitest';
import { DEFAULT_TOLERANCE, MAX_GOLDEN_BYTES } from '../../../../protocols/manifest/index.ts';
import { Tensor } from '../../../../protocols/tensor.ts';
import {
  formatGoldenFile,
  type GoldenCase,
  goldenMadeFor,
  MAX_GOLDEN_CASES,
  readGoldenFile,
  toleranceOf,
} from '../../../../src/model/golden-file.ts';
import { refusal } from '../../../support/refusal.ts';

const MODEL = {
  inputs: [
    { name: 'x', datatype: 'FP32', shape: ['n', 2] },
    { name: 'id', datatype: 'INT64', shape: ['n'] },
  ],
  outputs: [
    { name: 'y', datatype: 'FP32', shape: ['n'] },
    { name: 'label', datatype: 'BYTES', shape: ['n'] },
  ],
} as const;

const read = (text: string | Uint8Array) => [
  ...readGoldenFile(Buffer.from(text), { fileName: 'golden.json', model: MODEL }),
];

const x = { name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 'NaN'] };
const id = { name: 'id', datatype: 'INT64', shape: [1], data: [7] };
const y = { name: 'y', datatype: 'FP32', shape: [1], data: [0.5] };
const written = (changes: object = {}) =>
  JSON.stringify({ cases: [{ inputs: [x, id], outputs: [y], ...changes }] });

const CASES: readonly GoldenCase[] = [
  {
    inputs: [
      { name: 'x', tensor: Tensor.from('FP32', [1, 2], [0.1, Number.NaN]) },
      { name: 'id', tensor: Tensor.from('INT64', [1], [2n ** 62n]) },
    ],
    outputs: [
      {
        name: 'y',
        tensor: Tensor.from('FP32', [1], [-0]),
        tolerance: { absolute: 0.1, relative: 0 },
      },
      { name: 'label', tensor: Tensor.from('BYTES', [1], ['süß']) },
    ],
    tolerance: { absolute: 1, relative: 0.5 },
  },
];

describe('formatGoldenFile', () => {
  it('writes what readGoldenFile reads, every bit of it', () => {
    const bytes = formatGoldenFile(CASES);
    expect(read(bytes)).toEqual(CASES);
    expect(formatGoldenFile(read(bytes))).toEqual(bytes);
  });
});

describe('goldenMadeFor', () => {
  it('gives the digest that a made file names, and none of one that was given or is damaged', () => {
    const bytes = formatGoldenFile(CASES, 'ab12');
    expect(goldenMadeFor(bytes)).toBe('ab12');
    expect(read(bytes)).toEqual(CASES);
    expect(goldenMadeFor(formatGoldenFile(CASES))).toBeUndefined();
    for (const text of ['', '{', 'null', '[]', '{"madeFor":1}']) {
      expect(goldenMadeFor(Buffer.from(text))).toBeUndefined();
    }
  });
});

describe('readGoldenFile', () => {
  it('reads tensors as the Open Inference Protocol writes them, nested ones too', () => {
    const nested = { ...x, data: [[1, 2]] };
    const [golden] = read(written({ inputs: [id, nested] }));
    expect(golden?.inputs.map(({ name }) => name)).toEqual(['id', 'x']);
    expect(golden?.inputs[1]?.tensor.toArray()).toEqual([1, 2]);
    expect(golden?.tolerance).toBeUndefined();
  });

  it.each<[what: string, text: string, message: string | RegExp]>([
    ['no JSON', '{', /^golden\.json is not JSON: /],
    ['no cases', '{"cases":[]}', /^golden\.json field cases: /],
    ['an unknown key', '{"cases":[],"case":1}', /^golden\.json /],
    ['an unknown key in a case', written({ name: 'a' }), /field cases\[0\]: unknown key 'name'/],
    ['no outputs', written({ outputs: [] }), /field cases\[0\]\.outputs: /],
    [
      'an unknown datatype',
      written({ inputs: [{ ...x, datatype: 'BF16' }, id] }),
      /field cases\[0\]\.inputs\[0\]\.datatype: /,
    ],
    [
      'an input that is missing',
      written({ inputs: [x] }),
      "golden.json field cases[0]: input 'id' is missing, the model takes inputs 'x', 'id'",
    ],
    [
      'an input of another shape',
      written({ inputs: [{ ...x, shape: [2, 1] }, id] }),
      "golden.json field cases[0]: input 'x' has shape [2, 1], expected [n, 2]",
    ],
    [
      'data that does not fill its shape',
      written({ inputs: [{ ...x, data: [1] }, id] }),
      'golden.json field cases[0]: inputs[0].data: expected 2 elements for shape [1, 2], found 1',
    ],
    [
      'an output that the model does not have',
      written({ outputs: [{ ...y, name: 'z' }] }),
      "golden.json field cases[0]: 'z' is not an output of the model",
    ],
    [
      'an output of another datatype',
      written({ outputs: [{ ...y, datatype: 'FP64' }] }),
      "golden.json field cases[0]: output 'y' has datatype FP64, expected FP32",
    ],
    [
      'an output twice',
      written({ outputs: [y, y] }),
      "golden.json field cases[0]: output 'y' is given twice",
    ],
    [
      'a tolerance below zero',
      written({ tolerance: { absolute: -1, relative: 0 } }),
      /field cases\[0\]\.tolerance\.absolute: /,
    ],
  ])('refuses %s', (_what, text, message) => {
    expect(() => read(text)).toThrow(refusal('ERR_INVALID_MODEL', message));
  });

  it('takes 64 cases and no more', () => {
    const cases = (count: number) =>
      JSON.stringify({
        cases: Array.from({ length: count }, () => ({ inputs: [x, id], outputs: [y] })),
      });
    expect(MAX_GOLDEN_CASES).toBe(64);
    expect(read(cases(64))).toHaveLength(64);
    expect(() => read(cases(65))).toThrow(/^golden\.json field cases: /);
  });

  it('takes 16 MiB and no more', () => {
    const padded = (bytes: number) => written().padEnd(bytes, ' ');
    expect(read(padded(MAX_GOLDEN_BYTES))).toHaveLength(1);
    expect(() => read(padded(MAX_GOLDEN_BYTES + 1))).toThrow(
      'golden.json has 16777217 bytes, expected at most 16777216',
    );
  });

  it('goes on to the next case for whoever wants to hear of every fault', () => {
    const faults: string[] = [];
    const text = JSON.stringify({
      cases: [
        { inputs: [x], outputs: [y] },
        { inputs: [x, id], outputs: [y] },
        { inputs: [id], outputs: [y] },
      ],
    });
    const cases = readGoldenFile(Buffer.from(text), {
      fileName: 'golden.json',
      model: MODEL,
      report: ({ details }) => faults.push(String(details['field'])),
    });
    expect([...cases]).toHaveLength(1);
    expect(faults).toEqual(['cases[0]', 'cases[2]']);
  });
});

describe('toleranceOf', () => {
  const [golden] = CASES as [GoldenCase];
  const version = { absolute: 2, relative: 2 };

  it("takes the output's, else the case's, else the version's, else the default", () => {
    const bare = { ...golden, tolerance: undefined };
    expect(toleranceOf(golden, 'y', version)).toEqual({ absolute: 0.1, relative: 0 });
    expect(toleranceOf(golden, 'label', version)).toEqual({ absolute: 1, relative: 0.5 });
    expect(toleranceOf(bare, 'label', version)).toEqual(version);
    expect(toleranceOf(bare, 'label', undefined)).toEqual(DEFAULT_TOLERANCE);
  });
});
