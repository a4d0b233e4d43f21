import { describe, expect, it } from 'vitest';
import { memorySource } from '../../../../../src/model/byte-source.ts';
import { readFrontMatter } from '../../../../../src/model/import/front-matter.ts';
import { mapHubPicture } from '../../../../../src/model/import/hub-picture.ts';
import { mapHubTexts } from '../../../../../src/model/import/hub-settings.ts';
import type { OnnxGraph } from '../../../../../src/model/onnx-graph.ts';
import { readOnnxGraph } from '../../../../../src/model/onnx-reader.ts';
import { buildModel, type ValueInit } from '../../../../support/onnx-builder.ts';

const graphOf = async (
  inputs: readonly ValueInit[],
  outputs: readonly ValueInit[],
): Promise<OnnxGraph> => readOnnxGraph(memorySource(buildModel({ inputs, outputs, nodes: [] })));

const picture = (shape: ValueInit['shape']): ValueInit => ({
  name: 'pixel_values',
  datatype: 'FP32',
  shape: shape ?? [],
});
const logits = (classes: number | null): ValueInit => ({
  name: 'logits',
  datatype: 'FP32',
  shape: [null, classes],
});
const graph = await graphOf([picture([null, 3, null, null])], [logits(2)]);

const WHOLE = {
  do_resize: true,
  size: { height: 32, width: 48 },
  resample: 3,
  do_rescale: true,
  rescale_factor: 0.5,
  do_normalize: true,
  image_mean: [1, 2, 3],
  image_std: [4, 5, 6],
};

describe('mapHubPicture', () => {
  it('maps a processor that says every step', () => {
    expect(mapHubPicture(WHOLE, graph).preprocessing).toEqual({
      kind: 'image',
      input: 'pixel_values',
      width: 48,
      height: 32,
      resize: 'fill',
      channels: 'rgb',
      layout: 'NCHW',
      kernel: 'cubic',
      scale: 0.5,
      mean: [1, 2, 3],
      std: [4, 5, 6],
    });
  });

  it('maps a resize of the short side with a crop as large to a cover', () => {
    const config = {
      ...WHOLE,
      size: { shortest_edge: 224 },
      do_center_crop: true,
      crop_size: { height: 224, width: 224 },
    };
    expect(mapHubPicture(config, graph).preprocessing).toMatchObject({
      width: 224,
      height: 224,
      resize: 'cover',
    });
  });

  it('scales by 1/255 where an older configuration says no step of it, and by 1 where there is none', () => {
    const { do_rescale: _step, rescale_factor: _factor, ...older } = WHOLE;
    expect(mapHubPicture(older, graph).preprocessing?.scale).toBe(1 / 255);
    expect(mapHubPicture({ ...WHOLE, do_rescale: false }, graph).preprocessing?.scale).toBe(1);
  });

  it.each([
    [{ do_resize: false }, 'do_resize is false, expected true'],
    [{ size: 224 }, 'size is 224, expected height and width, or shortest_edge'],
    [
      {
        size: { shortest_edge: 256 },
        do_center_crop: true,
        crop_size: { height: 224, width: 224 },
      },
      'it resizes the short side to 256 and does not crop to the same',
    ],
    [
      { size: { shortest_edge: 256 } },
      'it resizes the short side to 256 and does not crop to the same',
    ],
    [{ size: { longest_edge: 256 } }, 'size is {"longest_edge":256}'],
    [
      { do_center_crop: true, crop_size: { height: 8, width: 8 } },
      'it crops to another size than it resizes to',
    ],
    [{ resample: 5 }, 'resample is 5, expected 0, 1, 2 or 3'],
    [{ resample: undefined }, 'resample is missing'],
    [
      { do_rescale: true, rescale_factor: undefined },
      'do_rescale is true with rescale_factor missing',
    ],
    [{ do_normalize: undefined }, 'do_normalize is missing'],
    [{ image_std: [1, 1] }, 'image_mean is [1,2,3] and image_std [1,1], expected as many numbers'],
    [{ image_std: [1, 1, 0] }, 'expected as many numbers'],
    [{ image_mean: [1], image_std: [1] }, 'image_mean has 1 values, the model takes 3 channels'],
    [{ do_pad: true }, 'do_pad has no counterpart here'],
  ])('leaves %j, which is not exactly one of ours', (change, why) => {
    const mapped = mapHubPicture({ ...WHOLE, ...change }, graph);
    expect(mapped.preprocessing).toBeUndefined();
    expect(mapped.why).toContain(why);
  });

  it('leaves a size, a count of channels or an input that the model does not take', async () => {
    const fixed = await graphOf([picture([1, 3, 32, 32])], [logits(2)]);
    expect(mapHubPicture(WHOLE, fixed).why).toBe(
      'its pictures are 48 × 32, the model takes [1,3,32,32]',
    );
    const four = await graphOf([picture([1, 4, 32, 48])], [logits(2)]);
    expect(mapHubPicture(WHOLE, four).why).toBe('pictures have 1 or 3 channels, the model takes 4');
    const text = await graphOf(
      [{ name: 'input_ids', datatype: 'INT64', shape: [null, null] }],
      [logits(2)],
    );
    expect(mapHubPicture(WHOLE, text).why).toContain('the model has no input of a picture');
    const gray = await graphOf([picture([1, 1, 32, 48])], [logits(2)]);
    expect(mapHubPicture({ ...WHOLE, do_normalize: false }, gray).preprocessing).toMatchObject({
      channels: 'gray',
    });
  });
});

describe('mapHubTexts', () => {
  const nowhere = { repository: null, revision: null };
  const map = (texts: Partial<Parameters<typeof mapHubTexts>[0]>, of = graph) =>
    mapHubTexts(
      { config: undefined, preprocessor: undefined, card: undefined, ...texts },
      of,
      nowhere,
    );

  it('says nothing for a repository that says nothing', () => {
    expect(map({})).toEqual({ settings: {}, notes: [] });
    expect(map({ config: '{"id2label":{}}' })).toEqual({ settings: {}, notes: [] });
  });

  it('puts labels in the order of their ids', () => {
    const config = JSON.stringify({ id2label: { 1: 'dog', 0: 'cat' } });
    expect(map({ config }).settings).toEqual({
      classLabels: ['cat', 'dog'],
      answer: { kind: 'argmax', output: 'logits' },
    });
  });

  it.each([
    [{ 0: 'a' }, "it has 1 labels, output 'logits' has 2 classes"],
    [{ 1: 'a', 2: 'b' }, 'expected a text for each of 0 to 1'],
    [{ 0: 'a', 1: 5 }, 'expected a text for each of 0 to 1'],
  ])('notes labels %j, which are not the classes', (id2label, why) => {
    expect(map({ config: JSON.stringify({ id2label }) })).toEqual({
      settings: {},
      notes: [`id2label of config.json was not mapped: ${why}`],
    });
  });

  it('takes the only output of numbers for the logits, and none of several', async () => {
    const config = JSON.stringify({ id2label: { 0: 'a', 1: 'b' } });
    const scores = { ...logits(2), name: 'scores' };
    const one = await graphOf([], [scores, { name: 'ids', datatype: 'INT64', shape: [null] }]);
    expect(map({ config }, one).settings.answer).toEqual({ kind: 'argmax', output: 'scores' });
    const two = await graphOf([], [scores, { ...logits(2), name: 'hidden' }]);
    expect(map({ config }, two).notes).toEqual([
      "id2label of config.json was not mapped: none of the model's outputs is 'logits', nor is there but one",
    ]);
  });

  it('notes files that are no JSON objects, and a card without a licence', () => {
    expect(map({ config: '{', preprocessor: '[]', card: '# Card' })).toEqual({
      settings: { metadata: { modelCard: 'README.md' } },
      notes: [
        'config.json was not mapped: it is not JSON',
        'preprocessor_config.json was not mapped: expected a JSON object',
        "README.md says no licence by a simple 'license:' in its front matter",
      ],
    });
  });

  it('takes the name of a licence that is another', () => {
    const card = '---\nlicense: other\nlicense_name: acme-1.0\n---\n';
    expect(map({ card }).settings.metadata).toMatchObject({ licence: 'acme-1.0' });
  });
});

describe('readFrontMatter', () => {
  it.each([
    ['---\nlicense: mit\n---\n# Card', 'mit'],
    ['---\r\nlicense: mit\r\n---\r\n', 'mit'],
    ['\uFEFF---\nlicense: "mit"\n---', 'mit'],
    ["---\nlicense: 'mit' # of course\n---\n", 'mit'],
    ['---\nlicense: mit # of course\n---\n', 'mit'],
    ['---\nlanguage:\n- en\nlicense: cc-by-4.0\n---\n', 'cc-by-4.0'],
    ['---\nlicense:\n- mit\n---\n', undefined],
    ['---\nlicense: [mit]\n---\n', undefined],
    ['---\nlicense: |\n  mit\n---\n', undefined],
    ['---\nmodel:\n  license: mit\n---\n', undefined],
    ['# Card\n---\nlicense: mit\n---\n', undefined],
    ['license: mit', undefined],
    ['---\nlicense: mit', undefined],
    ['', undefined],
  ])('reads the licence of %j as %j', (card, licence) => {
    expect(readFrontMatter(card).get('license')).toBe(licence);
  });
});
