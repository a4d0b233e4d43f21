import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { packModel } from '../../../../src/model/package.ts';
import {
  type BadModel,
  badModels,
  type LibraryModel,
  libraryModels,
  MODEL_LIBRARY,
  MODEL_LIBRARY_ABSENT,
} from '../../../support/model-library.ts';

/** What the library's index also says of a model. */
interface DescribedModel extends LibraryModel {
  readonly inputs: readonly { readonly name: string }[];
  readonly outputs: readonly { readonly name: string }[];
  readonly files: readonly { readonly path: string; readonly sha256: string }[];
}

const described = libraryModels() as readonly DescribedModel[];

/** What the scan refuses of the bad ones, and how. The others are bad at run time only, or not at all. */
const REFUSED: Readonly<Record<string, string>> = {
  empty: 'found an empty file',
  'random-4k': 'not a valid ONNX protobuf',
  'html-404': 'HTML or XML page',
  'lfs-pointer': 'Git LFS pointer',
  'ort-format': 'ORT-format',
  'truncated-half': 'truncated?',
  concatenated: 'more than one graph',
  'no-graph': 'without a graph',
  'unknown-domain': "domain 'ai.onnx.contrib'",
  'no-outputs': 'no output that an answer can carry',
  'init-too-short': '12 bytes of data, expected 400',
  'ext-missing': 'not beside it',
  'ext-traversal': 'plain file name',
  'ext-truncated': 'the file has 4 bytes',
  'onnx-cast_float_to_int4': 'tensor(int4)',
  'onnx-cast_float_to_bfloat16': 'tensor(bfloat16)',
  'onnx-if_seq': 'seq(tensor(float))',
};

describe.skipIf(MODEL_LIBRARY_ABSENT !== undefined)(
  `packModel on third-party models${MODEL_LIBRARY_ABSENT === undefined ? '' : ` (${MODEL_LIBRARY_ABSENT})`}`,
  () => {
    it.each(described)('packs $name as what it is', async (model) => {
      await using version = await packModel(path.join(MODEL_LIBRARY, model.file));
      const { files, inputs, outputs } = version.manifest;
      const shas = Object.fromEntries(
        files.map(({ path, sha256 }) => [path, Buffer.from(sha256).toString('hex')]),
      );
      // Files that the model does not refer to stay behind when a lone .onnx file is packed.
      const known = model.files.filter(({ path }) => path !== 'tokenizer.json');
      expect(shas).toEqual(Object.fromEntries(known.map(({ path, sha256 }) => [path, sha256])));
      expect(inputs.map(({ name }) => name)).toEqual(model.inputs.map(({ name }) => name));
      const omitted = version.model.omittedOutputs.map(({ name }) => name);
      expect([...outputs.map(({ name }) => name), ...omitted].toSorted()).toEqual(
        model.outputs.map(({ name }) => name).toSorted(),
      );
    });

    const isRefused = ({ name }: BadModel): boolean => REFUSED[name] !== undefined;

    it.each(badModels().filter(isRefused))('refuses $name', async ({ name, file }) => {
      await expect(packModel(path.join(MODEL_LIBRARY, 'bad', file))).rejects.toMatchObject({
        code: 'ERR_INVALID_MODEL',
        message: expect.stringContaining(REFUSED[name] ?? ''),
      });
    });

    it.each(badModels().filter((model) => !isRefused(model)))(
      'packs $name as it is: what it does is for the runtime to find out',
      async ({ file }) => {
        await using version = await packModel(path.join(MODEL_LIBRARY, 'bad', file));
        expect(version.manifest.outputs.length).toBeGreaterThan(0);
      },
    );

    it('knows every bad model that it expects to refuse', () => {
      const names = badModels().map(({ name }) => name);
      expect(names).toEqual(expect.arrayContaining(Object.keys(REFUSED)));
    });
  },
);
