import type { CommandSpec, OperandSpec, OptionSpec } from './command-spec.ts';
import type { SettingKey } from './settings.ts';

const FETCH: readonly SettingKey[] = [
  ...(['bootstrap', 'mdns', 'network', 'identity'] as const),
  ...(['data', 'publishers', 'timeoutMs'] as const),
];

/** Whatever a package can be made of. */
export const IMPORTABLE: OperandSpec = {
  name: 'what',
  about:
    'an .onnx file, a package folder, a Triton model, a Hugging Face checkout or cache, or https://…#sha256=<hex>',
};

/** Options that say which of several models is meant, of every command that takes {@link IMPORTABLE}. */
export const IMPORT_OPTIONS: readonly OptionSpec[] = [
  {
    flags: '--model <name>',
    about: 'which one, of a Triton repository or a Hugging Face cache with several',
  },
  {
    flags: '--triton-version <n>',
    about: "number of a Triton model's version (default: the highest)",
  },
  {
    flags: '--variant <name>',
    about: 'of a Hugging Face repository: fp16, int8, … (default: model.onnx)',
  },
  { flags: '--sha256 <hex>', about: 'digest of the file at an address that does not hold it' },
];

/** The commands that make packages of models and models of packages, in the order in which help shows them. */
export const PACKAGE_COMMANDS: readonly CommandSpec[] = [
  {
    path: 'models import',
    summary: 'make a package folder of a model in another form; joins no swarm',
    operands: [IMPORTABLE],
    settings: ['timeoutMs'],
    options: [
      { flags: '--out <dir>', about: 'the folder to make, new or empty', required: true },
      ...IMPORT_OPTIONS,
    ],
    examples: [
      'models import ./model_repository --model resnet50 --out ./resnet50',
      'models import ~/.cache/huggingface/hub --model org/name --variant fp16 --out ./name',
      'models import https://models.example.org/iris.onnx#sha256=9f86d081… --out ./iris',
    ],
    load: async () => (await import('./commands/models-import.ts')).runModelsImport,
  },
  {
    path: 'models export',
    summary: 'give the files of a version back, as they are or as a Triton model',
    operands: [
      {
        name: 'version',
        about: 'a package folder, a CID, or a reference as `swarm models show` takes it',
      },
    ],
    settings: FETCH,
    options: [
      { flags: '--out <dir>', about: 'the folder to make, new or empty', required: true },
      { flags: '--format <format>', about: 'dir or triton (default: dir)' },
    ],
    examples: [
      'models export 12D3KooW…/digits --out ./digits',
      'models export bafyrei… --format triton --out ./model_repository/digits',
      'models export ./digits --format triton --out ./model_repository/digits',
    ],
    load: async () => (await import('./commands/models-export.ts')).runModelsExport,
  },
];
