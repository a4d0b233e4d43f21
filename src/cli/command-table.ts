import type { CommandSpec, OperandSpec } from './command-spec.ts';
import { API_KEY_COMMANDS, GATEWAY_COMMAND } from './gateway-commands.ts';
import { KEY_COMMANDS } from './key-commands.ts';
import { NODE_COMMANDS } from './node-commands.ts';
import { IMPORT_OPTIONS, IMPORTABLE, PACKAGE_COMMANDS } from './package-commands.ts';
import { GUARD_OPTIONS, RELEASE_COMMANDS } from './release-commands.ts';
import { SETTING_KEYS, type SettingKey } from './settings.ts';
import { SIMULATION_COMMANDS } from './simulation-commands.ts';
import { STORE_COMMANDS } from './store-commands.ts';
import { TRUST_COMMANDS } from './trust-commands.ts';

const JOIN: readonly SettingKey[] = ['bootstrap', 'mdns', 'network'];
const SERVE: readonly SettingKey[] = [...JOIN, 'data', 'listen', 'announce', 'logLevel'];
const ASK: readonly SettingKey[] = [...JOIN, 'identity', 'deadlineMs'];

/** Of commands whose references may name a publisher by its petname. */
const REFER: readonly SettingKey[] = [...ASK, 'data', 'publishers'];

const REF: OperandSpec = {
  name: 'ref',
  about: 'publisher/name, publisher/name@channel or publisher/name@cid; a petname will do',
};

/** Every command, in the order in which help shows them. */
export const COMMANDS: readonly CommandSpec[] = [
  {
    path: 'node',
    summary: 'serve models on this machine: store, run and announce versions',
    settings: [
      ...SERVE,
      'otlp',
      'metrics',
      'allowPublisher',
      'allowCaller',
      'allowVersion',
      'allowTask',
      'zone',
      'tag',
      'ownerKey',
      'costPerHour',
      'watts',
      'pricePerKwh',
      'maxCores',
      'threads',
      'maxMemory',
      'servingHours',
      'yieldGpu',
      'maxRequestBytes',
      'maxQueued',
      'executionLimitMs',
      'loopLimitMs',
      'retireAfterMs',
      'isolation',
      'receipts',
      'scaling',
      'stableWindowMs',
      'panicWindowMs',
      'scalingTickMs',
      'upDelayMs',
      'downDelayMs',
      'announceIntervalMs',
      'handoverTimeoutMs',
      'storeQuota',
      'uploadLimit',
      'downloadLimit',
    ],
    examples: [
      'node --data ./node --allow-publisher 12D3KooW…',
      'node --bootstrap /dns4/swarm.example.org/tcp/4001/p2p/12D3KooW… --allow-publisher any --zone attic',
      'node --data ./node --allow-publisher any --metrics :8002',
    ],
    load: async () => (await import('./commands/node.ts')).runNode,
  },
  ...NODE_COMMANDS,
  {
    path: 'bootstrap',
    summary: 'be a way in: helps peers find each other, never in the path of a request',
    settings: [
      ...SERVE,
      ...(['grpc', 'metrics', 'fleetMin', 'fleetMax', 'coolDownMs', 'provision'] as const),
    ],
    examples: [
      'bootstrap --listen /ip4/0.0.0.0/tcp/4001 --data ./bootstrap',
      'bootstrap --listen /ip4/0.0.0.0/tcp/4001 --announce /dns4/swarm.example.org/tcp/4001',
      'bootstrap --fleet-max 20 --grpc 0.0.0.0:8001 --metrics :8002',
    ],
    load: async () => (await import('./commands/bootstrap.ts')).runBootstrap,
  },
  GATEWAY_COMMAND,
  {
    path: 'publish',
    summary: 'pack a model, place its replicas, sign and release it',
    operands: [IMPORTABLE],
    settings: [
      ...JOIN,
      'data',
      'key',
      'delegation',
      'channel',
      'replicas',
      'uploadLimit',
      'validFor',
      'timeoutMs',
    ],
    options: [
      {
        flags: '--name <name>',
        about: "the model's name: 1 to 64 of a-z, 0-9, '.', '_', '-'",
        required: true,
      },
      {
        flags: '--weight <share>',
        about: 'of the requests, for a partial channel such as canary: 5% or 0.05',
      },
      ...GUARD_OPTIONS,
      {
        flags: '--no-golden',
        about: 'make no golden vectors where the package has none: no node then checks its answers',
      },
      {
        flags: '--golden-dir <dir>',
        about:
          'keeps golden vectors made for a cache or an address (default: golden in the data folder)',
      },
      ...IMPORT_OPTIONS,
    ],
    examples: [
      'publish ./digits --name digits',
      'publish ./model_repository --model resnet50 --name resnet50',
      'publish ./digits --name digits --guard --max-error-rate 2%',
      'publish model.onnx --name digits --channel beta --replicas 3 --bootstrap /ip4/…/p2p/12D3KooW…',
    ],
    load: async () => (await import('./commands/publish.ts')).runPublish,
  },
  {
    path: 'infer',
    summary:
      'run a model: Open Inference Protocol JSON in and out, or a picture in and its answer out',
    operands: [REF],
    settings: REFER,
    options: [
      {
        flags: '--request <file>',
        about: "the request in the Open Inference Protocol's JSON; - reads standard input",
      },
      {
        flags: '--image <file>',
        about: 'a picture, for a model that declares how it wants one',
      },
      {
        flags: '--key <key>',
        about: 'a user or session: one key always goes to the same side of a canary',
      },
      {
        flags: '--verify <k>',
        about: 'have nodes of k different owners run it, 2 to 7, and print what they agree on',
      },
      {
        flags: '--receipt <file>',
        about: 'have the node sign its answer, and keep what it signed in a new file',
      },
      {
        flags: '--explain',
        about: 'run nothing: show which node would be asked, and why not the others',
      },
    ],
    examples: [
      'infer 12D3KooW…/digits --image seven.png',
      'infer 12D3KooW…/digits --image seven.png --explain',
      'infer 12D3KooW…/digits --image seven.png --verify 3',
      'infer 12D3KooW…/iris --request request.json --receipt answer.receipt > response.json',
      'infer 12D3KooW…/iris@beta --request request.json',
      `infer 12D3KooW…/iris --request - <<< '{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[5.1,3.5,1.4,0.2]}]}'`,
    ],
    load: async () => (await import('./commands/infer.ts')).runInfer,
  },
  {
    path: 'models ls',
    summary: 'list the models that nodes serve, or those that match a search',
    settings: [...ASK, 'data'],
    options: [
      {
        flags: '--search <text>',
        about: 'words of its name, task, description, licence or labels',
      },
      { flags: '--task <task>', about: 'such as image-classification' },
      { flags: '--label <key=value>', about: 'a label it has; several with commas' },
      { flags: '--publisher <who>', about: 'its publisher: a peer id, or a petname' },
    ],
    examples: [
      'models ls',
      'models ls --search handwritten --task image-classification',
      'models ls --json --bootstrap /ip4/…/p2p/12D3KooW…',
    ],
    load: async () => (await import('./commands/models.ts')).runModelsList,
  },
  {
    path: 'models show',
    summary: 'show a version: its inputs, outputs, files, and the nodes it is on',
    operands: [REF],
    settings: REFER,
    examples: ['models show 12D3KooW…/digits', 'models show 12D3KooW…/digits@beta --json'],
    load: async () => (await import('./commands/models.ts')).runModelsShow,
  },
  {
    path: 'models lint',
    summary: 'find every fault for which a package would be refused; joins no swarm',
    operands: [
      { name: 'path', about: 'an .onnx file, or a folder with one and an optional swarm.json' },
    ],
    settings: [],
    examples: ['models lint ./digits', 'models lint model.onnx --json'],
    load: async () => (await import('./commands/models-lint.ts')).runModelsLint,
  },
  ...PACKAGE_COMMANDS,
  ...RELEASE_COMMANDS,
  ...KEY_COMMANDS,
  ...API_KEY_COMMANDS,
  {
    path: 'nodes ls',
    summary: 'list the nodes, their devices and how busy they are',
    settings: ASK,
    examples: ['nodes ls', 'nodes ls --json'],
    load: async () => (await import('./commands/nodes.ts')).runNodesList,
  },
  {
    path: 'top',
    summary: 'watch what the swarm is asked for, how many replicas that takes and how many it has',
    settings: [
      ...JOIN,
      'stableWindowMs',
      'panicWindowMs',
      'scalingTickMs',
      'upDelayMs',
      'downDelayMs',
    ],
    options: [{ flags: '--once', about: 'show it once and end' }],
    examples: ['top', 'top --once --json'],
    load: async () => (await import('./commands/top.ts')).runTop,
  },
  ...TRUST_COMMANDS,
  ...STORE_COMMANDS,
  {
    path: 'config',
    summary: 'print the settings in use and where each came from',
    settings: SETTING_KEYS,
    options: [{ flags: '--resolved', about: 'also those that nothing has set' }],
    examples: ['config --resolved', 'config --config swarm.json --json'],
    load: async () => (await import('./commands/config.ts')).runConfig,
  },
  {
    path: 'up',
    summary: 'a whole swarm on this machine, in real processes, to try things on',
    settings: ['data', 'network', 'allowPublisher', 'threads'],
    options: [
      { flags: '--demo', about: 'publish the bundled models, run them, kill a node under load' },
      { flags: '--once', about: 'end when the job is done instead of staying up' },
      {
        flags: '--nodes <n>',
        about: 'nodes to start, from 1 to 16, with --demo at least 2 (default: 3)',
      },
      {
        flags: '--max-nodes <n>',
        about:
          'start more nodes while demand asks for them, up to this many, at least as many as --nodes, and stop them again (default: as many as --nodes)',
      },
    ],
    examples: [
      'up --demo',
      'up --demo --once --json',
      'up --nodes 1 --max-nodes 4 --allow-publisher any',
      'up --nodes 5 --data ./local-swarm --allow-publisher any',
    ],
    load: async () => (await import('./commands/up.ts')).runUp,
  },
  ...SIMULATION_COMMANDS,
];
