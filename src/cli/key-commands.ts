import type { CommandSpec, OperandSpec, OptionSpec } from './command-spec.ts';
import type { SettingKey } from './settings.ts';

const PETNAME: OperandSpec = {
  name: 'petname',
  about: "what you call it; 'default' is your first",
};
const NAME: OperandSpec = { name: 'name', about: "the model's name; its publisher is your key" };

const PASSPHRASE: OptionSpec = {
  flags: '--passphrase-file <file>',
  about: 'file of the passphrase; - reads standard input',
  required: true,
};

const SIGN: readonly SettingKey[] = [
  ...(['bootstrap', 'mdns', 'network', 'identity', 'deadlineMs', 'data', 'key'] as const),
];

/** The commands for keys and for what publishers are called, in the order in which help shows them. */
export const KEY_COMMANDS: readonly CommandSpec[] = [
  {
    path: 'keys create',
    summary: 'make a publisher key',
    operands: [PETNAME],
    settings: ['data'],
    examples: ['keys create work'],
    load: async () => (await import('./commands/keys.ts')).runKeysCreate,
  },
  {
    path: 'keys ls',
    summary: 'list your keys, and the publishers you have named',
    settings: ['data', 'key', 'publishers'],
    examples: ['keys ls', 'keys ls --json'],
    load: async () => (await import('./commands/keys.ts')).runKeysList,
  },
  {
    path: 'keys show',
    summary: 'show a key: its publisher id and its file, never the key itself',
    operands: [PETNAME],
    settings: ['data'],
    examples: ['keys show default'],
    load: async () => (await import('./commands/keys.ts')).runKeysShow,
  },
  {
    path: 'keys export',
    summary: 'write a key as text that only a passphrase opens',
    operands: [PETNAME],
    settings: ['data'],
    options: [
      { flags: '--out <file>', about: 'a new file; without it standard output' },
      PASSPHRASE,
    ],
    examples: [
      'keys export default --out default.sealed --passphrase-file passphrase.txt',
      'keys export default --passphrase-file - < passphrase.txt > default.sealed',
    ],
    load: async () => (await import('./commands/key-transfer.ts')).runKeysExport,
  },
  {
    path: 'keys import',
    summary: 'add a key that was exported',
    operands: [PETNAME, { name: 'file', about: 'what `keys export` wrote' }],
    settings: ['data'],
    options: [PASSPHRASE],
    examples: ['keys import work default.sealed --passphrase-file passphrase.txt'],
    load: async () => (await import('./commands/key-transfer.ts')).runKeysImport,
  },
  {
    path: 'keys trust',
    summary: 'call a publisher by a petname, to write petname/name for its models',
    operands: [
      { name: 'petname', about: 'what you call it' },
      { name: 'id', about: "the publisher's peer id" },
    ],
    settings: ['data'],
    options: [{ flags: '--replace', about: 'also when the petname is that of another publisher' }],
    examples: ['keys trust alice 12D3KooW…'],
    load: async () => (await import('./commands/keys.ts')).runKeysTrust,
  },
  {
    path: 'keys forget',
    summary: 'take back what `keys trust` said',
    operands: [{ name: 'petname', about: 'what you called it' }],
    settings: ['data'],
    examples: ['keys forget alice'],
    load: async () => (await import('./commands/keys.ts')).runKeysForget,
  },
  {
    path: 'keys delegate',
    summary: 'let a second key move the channels of one model, until you revoke it',
    operands: [NAME],
    settings: SIGN,
    options: [
      { flags: '--to <id>', about: "the second key's peer id, or its petname", required: true },
      { flags: '--expires <duration>', about: '1h to 3650d (default: 90d)' },
      { flags: '--moves <n>', about: 'moves from now on, 1 to 10000 (default: 1000)' },
      { flags: '--out <file>', about: 'a new file; without it standard output' },
    ],
    examples: [
      'keys delegate digits --to 12D3KooW… --expires 90d --out digits.delegation',
      'keys delegate digits --to ci > digits.delegation',
    ],
    load: async () => (await import('./commands/delegation.ts')).runKeysDelegate,
  },
  {
    path: 'keys revoke',
    summary: 'end every delegation of a model',
    operands: [NAME],
    settings: [...SIGN, 'validFor'],
    options: [
      {
        flags: '--certificate <file>',
        about: 'only this one, and those that end at no higher sequence',
      },
    ],
    examples: ['keys revoke digits', 'keys revoke digits --certificate digits.delegation'],
    load: async () => (await import('./commands/delegation.ts')).runKeysRevoke,
  },
];
