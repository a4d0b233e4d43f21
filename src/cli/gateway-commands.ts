import type { CommandSpec, OperandSpec } from './command-spec.ts';

/** `swarm gateway`. */
export const GATEWAY_COMMAND: CommandSpec = {
  path: 'gateway',
  summary:
    'serve the whole swarm as one inference server: Open Inference Protocol over HTTP and gRPC',
  settings: [
    ...([
      'bootstrap',
      'mdns',
      'network',
      'identity',
      'data',
      'publishers',
      'logLevel',
      'otlp',
    ] as const),
    ...([
      'http',
      'grpc',
      'metrics',
      'metricsCompat',
      'tlsCert',
      'tlsKey',
      'restrictFile',
      'requireModels',
      'cacheModels',
      'cacheBytes',
      'maxBodyBytes',
    ] as const),
    ...(['fleetMin', 'fleetMax', 'coolDownMs', 'provision'] as const),
    ...(['insecure', 'deadlineMs', 'drainDelayMs', 'drainTimeoutMs'] as const),
  ],
  examples: [
    'gateway --bootstrap /dns4/swarm.example.org/tcp/4001/p2p/12D3KooW…',
    'gateway --http 0.0.0.0:8000 --grpc off --require-model 12D3KooW…/digits',
  ],
  load: async () => (await import('./commands/gateway.ts')).runGateway,
};

const NAME: OperandSpec = { name: 'name', about: 'whose key it is, in your words' };

/** The commands for the keys of those who call a gateway. */
export const API_KEY_COMMANDS: readonly CommandSpec[] = [
  {
    path: 'keys api',
    summary: 'make an API key of the gateway, and tell it once',
    operands: [NAME],
    settings: ['data', 'publishers'],
    options: [
      { flags: '--rate <n>', about: 'requests a second, and as many at once; without it any' },
      {
        flags: '--models <refs>',
        about: 'publisher/name of the models it is for, with commas; without it all',
      },
      {
        flags: '--admin',
        about: 'let it say which models the gateway serves: load and unload of Triton',
      },
      {
        flags: '--priority <n>',
        about: 'from 0 to 255: the highest its requests may have, and that of those which ask none',
      },
    ],
    examples: ['keys api ci', 'keys api shop --rate 50 --models alice/digits --priority 10'],
    load: async () => (await import('./commands/api-keys.ts')).runKeysApi,
  },
  {
    path: 'keys api-ls',
    summary: 'list the API keys of the gateway, never the keys themselves',
    settings: ['data'],
    examples: ['keys api-ls', 'keys api-ls --json'],
    load: async () => (await import('./commands/api-keys.ts')).runKeysApiList,
  },
  {
    path: 'keys api-revoke',
    summary: 'take an API key back; a running gateway refuses it within a second',
    operands: [NAME],
    settings: ['data'],
    examples: ['keys api-revoke ci'],
    load: async () => (await import('./commands/api-keys.ts')).runKeysApiRevoke,
  },
];
