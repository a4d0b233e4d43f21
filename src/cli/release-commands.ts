import type { CommandSpec, OperandSpec, OptionSpec } from './command-spec.ts';
import type { SettingKey } from './settings.ts';

const READ: readonly SettingKey[] = [
  ...(['bootstrap', 'mdns', 'network', 'identity', 'deadlineMs'] as const),
  ...(['data', 'key', 'delegation', 'publishers'] as const),
];

const MOVE: readonly SettingKey[] = [
  ...(['bootstrap', 'mdns', 'network', 'identity', 'deadlineMs'] as const),
  ...(['data', 'key', 'delegation', 'validFor'] as const),
];

const NAME: OperandSpec = { name: 'name', about: "the model's name; its publisher is your key" };
const MODEL: OperandSpec = {
  name: 'model',
  about: 'publisher/name, petname/name, or the name of a model of your own',
};
const CHANNEL: OperandSpec = { name: 'channel', about: 'stable, canary, or any name' };
const CID: OperandSpec = { name: 'cid', about: 'the version' };

const FORCE: OptionSpec = { flags: '--force', about: 'also when no node is known to serve it' };

/** Options of a command that may set a guard; any of them sets one, and what is not said takes its default. */
export const GUARD_OPTIONS: readonly OptionSpec[] = [
  {
    flags: '--guard',
    about: 'let clients fall back to the version before by themselves when this one is bad',
  },
  {
    flags: '--max-error-rate <share>',
    about: 'of its requests that may fail (default: 5%)',
  },
  {
    flags: '--max-latency-ratio <factor>',
    about: 'latency over that of the version before (default: 2)',
  },
  { flags: '--min-samples <n>', about: 'requests that must be counted (default: 100)' },
  {
    flags: '--min-reporters <n>',
    about: 'peers that must agree, at least 2: one may lie (default: 3)',
  },
  { flags: '--guard-window <duration>', about: 'how far back requests count (default: 60s)' },
];

/** The commands that move channels and tell where they point, in the order in which help shows them. */
export const RELEASE_COMMANDS: readonly CommandSpec[] = [
  {
    path: 'release set',
    summary: 'point a channel at a version that nodes serve',
    operands: [NAME, CHANNEL, CID],
    settings: MOVE,
    options: [
      { flags: '--weight <share>', about: 'of the requests, for a partial channel' },
      ...GUARD_OPTIONS,
      FORCE,
    ],
    examples: [
      'release set digits stable bafyrei…',
      'release set digits beta bafyrei… --key team --delegation digits.delegation',
      'release set digits stable bafyrei… --guard --max-error-rate 2%',
    ],
    load: async () => (await import('./commands/release.ts')).runReleaseSet,
  },
  {
    path: 'release canary',
    summary: 'send a share of the requests for stable to another version',
    operands: [NAME, CID],
    settings: MOVE,
    options: [
      { flags: '--weight <share>', about: 'of the requests: 5% or 0.05', required: true },
      ...GUARD_OPTIONS,
      FORCE,
    ],
    examples: [
      'release canary digits bafyrei… --weight 5%',
      'release canary digits bafyrei… --weight 10% --guard',
    ],
    load: async () => (await import('./commands/release.ts')).runReleaseCanary,
  },
  {
    path: 'release promote',
    summary: "make the canary's version stable, and end the canary",
    operands: [NAME],
    settings: MOVE,
    options: [FORCE],
    examples: ['release promote digits'],
    load: async () => (await import('./commands/release.ts')).runReleasePromote,
  },
  {
    path: 'release rollback',
    summary: 'point stable at the version before, or at an earlier one',
    operands: [NAME],
    settings: MOVE,
    options: [{ flags: '--to <cid>', about: 'the version; by default the one before' }],
    examples: ['release rollback digits', 'release rollback digits --to bafyrei…'],
    load: async () => (await import('./commands/release.ts')).runReleaseRollback,
  },
  {
    path: 'release rm',
    summary: 'end a channel; its version can still be asked for by CID',
    operands: [NAME, CHANNEL],
    settings: MOVE,
    examples: ['release rm digits canary'],
    load: async () => (await import('./commands/release.ts')).runReleaseRemove,
  },
  {
    path: 'release status',
    summary: 'show where the channels of a model point, who serves them, and their guards',
    operands: [MODEL],
    settings: READ,
    examples: ['release status digits', 'release status 12D3KooW…/digits --json'],
    load: async () => (await import('./commands/release-show.ts')).runReleaseStatus,
  },
  {
    path: 'release history',
    summary: 'list the moves of a model, the latest first',
    operands: [MODEL],
    settings: READ,
    examples: ['release history digits', 'release history alice/digits'],
    load: async () => (await import('./commands/release-show.ts')).runReleaseHistory,
  },
  {
    path: 'release diff',
    summary: 'show what differs between two versions that nodes hold',
    operands: [
      { name: 'from', about: 'the CID of a version' },
      { name: 'to', about: 'the CID of another' },
    ],
    settings: ['bootstrap', 'mdns', 'network', 'identity', 'deadlineMs'],
    examples: ['release diff bafyrei… bafyrei…'],
    load: async () => (await import('./commands/release-show.ts')).runReleaseDiff,
  },
];
