import type { PrivateKey } from '@libp2p/interface';
import { ConfigError } from '../../protocols/errors.ts';
import { describeValue } from '../../protocols/nested-array.ts';
import { DEFAULT_NETWORK, parseNetwork } from '../../protocols/protocol-id.ts';
import { quoted } from '../../protocols/quoted.ts';
import type { NodeSelector } from '../policy/routing.ts';
import { describeOptionsFault, type FieldsOf } from './known-fields.ts';
import {
  type ResolvedSamplingInit,
  resolveSamplingInit,
  type SamplingInit,
} from './sampling-init.ts';

/** How long a call may take when it does not say: long enough for a cold model, short enough for a person. */
export const DEFAULT_DEADLINE_MS = 30_000;

/** How long `createClient` waits for a first peer. */
export const DEFAULT_JOIN_TIMEOUT_MS = 10_000;

export interface SwarmClientInit {
  /** Multiaddrs with `/p2p/<id>` of any peers of the swarm: bootstrap servers, nodes. Empty only with `mdns`. @default [] */
  readonly bootstrap?: readonly string[] | undefined;
  /** Name of the swarm; peers of different networks never meet. @default 'main' */
  readonly network?: string | undefined;
  /** Find peers on the local network by multicast DNS. @default false */
  readonly mdns?: boolean | undefined;
  /**
   * `full` joins gossip for the versions it uses and hears of changes at once; `light` asks a peer for a snapshot and lives
   * on the load that answers carry: for short-lived programs. @default 'full'
   */
  readonly mode?: 'full' | 'light' | undefined;
  /** The client's identity, which nodes may allow or refuse. @default a fresh Ed25519 key */
  readonly privateKey?: PrivateKey | undefined;
  /** Milliseconds a call may take when it does not say; 0 is refused. @default 30000 */
  readonly deadlineMs?: number | undefined;
  /** Milliseconds to wait for the first peer. @default 10000 */
  readonly joinTimeoutMs?: number | undefined;
  /** Chooses the node of each attempt instead of the built-in policy. @default the policy of docs/routing.md */
  readonly selector?: NodeSelector | undefined;
  /** Folder in which evidence against nodes outlives the process, made when needed. @default it is forgotten with the client */
  readonly dataDir?: string | undefined;
  /**
   * Check some answers of ordinary calls in the background, `{}` by the defaults. Off by default: each check computes once more on
   * somebody's GPU, and shows the inputs to one more stranger. @default none are checked
   */
  readonly sampling?: SamplingInit | undefined;
}

const FIELDS: FieldsOf<SwarmClientInit> = {
  ...{ bootstrap: true, network: true, mdns: true, mode: true, privateKey: true },
  ...{ deadlineMs: true, joinTimeoutMs: true, selector: true, dataDir: true, sampling: true },
};

/** What a program without types may have given as something else. */
const TYPES = [
  ['network', 'string'],
  ['mdns', 'boolean'],
  ['deadlineMs', 'number'],
  ['joinTimeoutMs', 'number'],
  ['selector', 'function'],
  ['dataDir', 'string'],
] as const satisfies readonly (readonly [keyof SwarmClientInit, string])[];

const MODES: readonly unknown[] = ['full', 'light'] satisfies SwarmClientInit['mode'][];

/** {@link SwarmClientInit} with every default filled in. */
export interface ResolvedClientInit {
  readonly bootstrap: readonly string[];
  readonly network: string;
  readonly mdns: boolean;
  readonly mode: 'full' | 'light';
  readonly privateKey: PrivateKey | undefined;
  readonly deadlineMs: number;
  readonly joinTimeoutMs: number;
  readonly selector: NodeSelector | undefined;
  readonly dataDir: string | undefined;
  readonly sampling: ResolvedSamplingInit | undefined;
}

/**
 * Fills in defaults and checks ranges and relations.
 *
 * @throws {ERR_CONFIG} naming the field that is wrong, or that there is none of.
 */
export function resolveClientInit(init: SwarmClientInit): ResolvedClientInit {
  const fault = describeOptionsFault(init, FIELDS);
  if (fault !== undefined) throw new ConfigError(`client: ${fault}`);
  checkTypes(init);
  const resolved: ResolvedClientInit = {
    bootstrap: init.bootstrap ?? [],
    network: parseNetwork(init.network ?? DEFAULT_NETWORK),
    mdns: init.mdns ?? false,
    mode: init.mode ?? 'full',
    privateKey: init.privateKey,
    deadlineMs: init.deadlineMs ?? DEFAULT_DEADLINE_MS,
    joinTimeoutMs: init.joinTimeoutMs ?? DEFAULT_JOIN_TIMEOUT_MS,
    selector: init.selector,
    dataDir: init.dataDir,
    sampling: init.sampling === undefined ? undefined : resolveSamplingInit(init.sampling),
  };
  for (const field of ['deadlineMs', 'joinTimeoutMs'] as const) {
    const value = resolved[field];
    if (!(value > 0 && value <= 86_400_000)) {
      throw new ConfigError(`${field} is ${value}, expected more than 0 and at most 86400000 ms`);
    }
  }
  if (!MODES.includes(resolved.mode)) {
    throw new ConfigError(`mode is ${quoted(resolved.mode)}, expected 'full' or 'light'`);
  }
  // A lone address is what a program without types gives.
  if (!Array.isArray(resolved.bootstrap)) {
    const found = `of type ${typeof resolved.bootstrap}`;
    throw new ConfigError(`bootstrap is ${found}, expected an array of multiaddrs`);
  }
  if (resolved.bootstrap.length === 0 && !resolved.mdns) {
    throw new ConfigError('bootstrap is empty and mdns is off: there is no way into the swarm');
  }
  return resolved;
}

function checkTypes(init: SwarmClientInit): void {
  for (const [field, type] of TYPES) {
    const value = init[field];
    if (value === undefined || typeof value === type) continue;
    throw new ConfigError(`${field} is ${describeValue(value)}, expected a ${type}`);
  }
  const { privateKey } = init;
  if (privateKey === undefined || typeof privateKey?.sign === 'function') return;
  throw new ConfigError(
    `privateKey is ${describeValue(privateKey)}, expected a private key as generateKeyPair of @libp2p/crypto gives it`,
  );
}
