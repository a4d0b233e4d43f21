import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { PrivateKey } from '@libp2p/interface';
import { ConfigError, InternalError } from '../../../protocols/errors.ts';
import { ensureFolder } from '../../model/ensured-folder.ts';
import { loadOrCreateKey, peerIdText } from '../../swarm/identity.ts';
import { SETTING_KEYS, settingSpec } from '../settings.ts';
import { SwarmProcess } from './swarm-process.ts';

/** Nodes of a local swarm at most: each is a process, and each model it holds another. */
export const MAX_LOCAL_NODES = 16;

/** On one machine news may travel often; the lease of three of these outlives a busy moment. */
const ANNOUNCE_INTERVAL_MS = 2_000;

/** Milliseconds that a node which is told to go has to hand over what it serves and to end what it has. */
const LEAVE_TIMEOUT_MS = 60_000;

const LOOPBACK = '/ip4/127.0.0.1/tcp/0';

export interface LocalSwarmInit {
  /** From 1 to {@link MAX_LOCAL_NODES}. */
  readonly nodes: number;
  readonly network: string;
  /** Absolute folder that keeps keys, records and models; undefined for one that is removed at the end. */
  readonly data: string | undefined;
  /** Publishers that the nodes serve besides the swarm's own. */
  readonly allowPublishers: readonly string[];
  /** ONNX Runtime threads of one model's process. */
  readonly threads: number;
  /** Further words of each node's command line. @default [] */
  readonly nodeArgs?: readonly string[] | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Hears of each process once it serves. */
  readonly onReady: (member: SwarmMember) => void;
  /** Hears of a process that ended though nobody told it to; what it last said. */
  readonly onLost: (name: string, why: string) => void;
}

/** A process of the swarm that serves. */
export interface SwarmMember {
  readonly name: string;
  /** Peer id. */
  readonly id: string;
  /** The loopback address, with `/p2p/<id>`. */
  readonly address: string;
  readonly pid: number;
}

interface Member extends SwarmMember {
  readonly process: SwarmProcess;
}

/**
 * One bootstrap server and some nodes, each a process of this machine that listens on loopback alone.
 *
 * Whoever starts it stops it; when this process ends in any other way its processes are killed and its folder is removed,
 * save by SIGKILL, after which the processes still end by themselves.
 */
export class LocalSwarm implements AsyncDisposable {
  readonly folder: string;
  readonly #init: LocalSwarmInit;
  readonly #processes: SwarmProcess[] = [];
  /** Those that served once; one that ended keeps its name, for the answers it gave. */
  readonly #members = new Map<string, Member>();
  readonly #starting = new Set<string>();
  /** Those that were told to end, or were ended. */
  readonly #told = new Set<SwarmProcess>();
  #stopped: Promise<void> | undefined;

  /** Makes the folder and starts nothing yet. */
  static async create(init: LocalSwarmInit): Promise<LocalSwarm> {
    if (!(Number.isInteger(init.nodes) && init.nodes >= 1 && init.nodes <= MAX_LOCAL_NODES)) {
      throw new ConfigError(
        `--nodes is ${init.nodes}, expected an integer from 1 to ${MAX_LOCAL_NODES}`,
      );
    }
    if (init.data !== undefined) await ensureFolder(init.data, 0o700);
    const folder = init.data ?? (await mkdtemp(path.join(os.tmpdir(), 'gpu-swarm-up-')));
    return new LocalSwarm(init, folder);
  }

  private constructor(init: LocalSwarmInit, folder: string) {
    this.#init = init;
    this.folder = folder;
    process.on('exit', this.#onExit);
  }

  get network(): string {
    return this.#init.network;
  }

  /** The file of the publisher's key that every node of this swarm serves. */
  get keyFile(): string {
    return path.join(this.folder, 'publisher.key');
  }

  /** The publisher's key, made on first use. */
  async publisherKey(): Promise<PrivateKey> {
    return loadOrCreateKey(this.keyFile);
  }

  /** Starts the bootstrap server and resolves once it serves. */
  async startBootstrap(signal: AbortSignal): Promise<SwarmMember> {
    return this.#start('bootstrap', ['bootstrap'], signal);
  }

  /** Starts all nodes and resolves once all serve; the bootstrap server must serve. */
  async startNodes(signal: AbortSignal): Promise<readonly SwarmMember[]> {
    return Promise.all(Array.from({ length: this.#init.nodes }, () => this.startNode(signal)));
  }

  /** Starts one more node, in the folder of the first that is not in use, and resolves once it serves. */
  async startNode(signal: AbortSignal): Promise<SwarmMember> {
    const name = this.#nextName();
    this.#starting.add(name);
    try {
      return await this.#start(name, await this.#nodeArgs(), signal);
    } finally {
      this.#starting.delete(name);
    }
  }

  /** Tells one node to go, and resolves when it has handed over and ended. */
  async stopNode(name: string): Promise<void> {
    const member = this.#members.get(name);
    if (member === undefined) throw new InternalError(`no process is called ${name}`);
    this.#told.add(member.process);
    await member.process.stop(LEAVE_TIMEOUT_MS);
  }

  #nextName(): string {
    const taken = new Set([...this.#starting, ...this.nodes.map(({ name }) => name)]);
    let number = 1;
    while (taken.has(`node-${number}`)) number += 1;
    return `node-${number}`;
  }

  async #nodeArgs(): Promise<readonly string[]> {
    const publisher = peerIdText(await this.publisherKey());
    return [
      'node',
      `--bootstrap=${this.bootstrapAddress}`,
      `--announce-interval=${ANNOUNCE_INTERVAL_MS}`,
      // A process of each version is enough: the nodes share the cores.
      `--max-cores=${this.#init.threads}`,
      `--threads=${this.#init.threads}`,
      ...[publisher, ...this.#init.allowPublishers].map((id) => `--allow-publisher=${id}`),
      ...(this.#init.nodeArgs ?? []),
    ];
  }

  /** The way in. */
  get bootstrapAddress(): string {
    const member = this.#members.get('bootstrap');
    if (member === undefined) throw new InternalError('the bootstrap server was not started');
    return member.address;
  }

  /** Processes that serve now. */
  get members(): readonly SwarmMember[] {
    return [...this.#members.values()].filter(({ process }) => process.running);
  }

  /** Nodes that serve now, in the order in which they came. */
  get nodes(): readonly SwarmMember[] {
    return this.members.filter(({ name }) => name !== 'bootstrap');
  }

  /** What a peer is called here; its id when it is none of ours. */
  nameOf(id: string): string {
    for (const member of this.#members.values()) if (member.id === id) return member.name;
    return id;
  }

  /** Ends one process as a power cut would, with every process below it. */
  async kill(name: string): Promise<void> {
    const member = this.#members.get(name);
    if (member === undefined) throw new InternalError(`no process is called ${name}`);
    this.#told.add(member.process);
    await member.process.kill();
  }

  /** Ends every process and removes the folder that was made for them. Twice is once. */
  async stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    await this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #stop(): Promise<void> {
    const running = this.#processes.filter((child) => child.running);
    await Promise.all(running.map((child) => child.stop()));
    if (this.#init.data === undefined) {
      await rm(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    }
    process.off('exit', this.#onExit);
  }

  async #start(name: string, args: readonly string[], signal: AbortSignal): Promise<SwarmMember> {
    signal.throwIfAborted();
    const dataDir = path.join(this.folder, name);
    const child = new SwarmProcess({
      name,
      args: [
        ...args,
        '--json',
        '--no-mdns',
        '--log-level=warn',
        `--listen=${LOOPBACK}`,
        `--network=${this.network}`,
        `--data=${dataDir}`,
      ],
      env: withoutSettings(this.#init.env),
      cwd: this.folder,
    });
    this.#processes.push(child);
    const { id, addresses } = await child.ready(signal);
    const address = addresses.find((text) => text.startsWith('/ip4/127.')) ?? addresses[0];
    if (address === undefined || child.pid === undefined) {
      throw new InternalError(`${name} serves on no address`);
    }
    const member: Member = { name, id, address, pid: child.pid, process: child };
    // Setting it anew moves it to the end.
    this.#members.delete(name);
    this.#members.set(name, member);
    void child.ended.then((how) => {
      if (this.#stopped !== undefined || this.#told.has(child)) return;
      this.#init.onLost(name, `${how}; it last said: ${child.lastWords()}`);
    });
    this.#init.onReady(member);
    return member;
  }

  readonly #onExit = (): void => {
    for (const child of this.#processes) child.killNow();
    if (this.#init.data === undefined) rmSync(this.folder, { recursive: true, force: true });
  };
}

/** The environment without this package's settings: those of the user are not meant for the processes of this swarm. */
function withoutSettings(
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  const settings = new Set([...SETTING_KEYS.map((key) => settingSpec(key).env), 'SWARM_CONFIG']);
  return Object.fromEntries(Object.entries(env).filter(([name]) => !settings.has(name)));
}
