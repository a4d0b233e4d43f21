import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SwarmProcess } from '../../src/cli/up/swarm-process.ts';
import { ProcessSwarm } from '../../test/support/process-swarm.ts';
import { childrenOf } from '../../test/support/process-tree.ts';
import { WorkerProcess } from '../worker-process.ts';
import type { Form } from './request.ts';
import type { FastifyQuestions } from './fastify-server.ts';
import { MODEL_NAMES, type ModelName, modelBytes } from './models.ts';
import { bentoml, litserve, mlserver, type PythonServer } from './peer-servers.ts';

export const SERVERS = ['gateway', 'fastify', 'mlserver', 'litserve', 'bentoml'] as const;

export type ServerName = (typeof SERVERS)[number];

/** Milliseconds that a server may take until it answers. */
const START_TIMEOUT_MS = 120_000;

const LOOK_INTERVAL_MS = 20;

/** Something that answers both models, in processes of its own; ends with its scope. */
export interface ModelServer extends AsyncDisposable {
  readonly name: ServerName;
  /** From its start until it answered for both models. */
  readonly startMs: number;
  /** Bytes resident, of its processes together; of ours also of the node and its models. Null where nothing tells. */
  idleBytes(): Promise<number | null>;
  readonly forms: readonly Form[];
  addressOf(form: Form, model: ModelName): { readonly address: string; readonly model: string };
}

/** The models' files by name. */
export type ModelFiles = Readonly<Record<ModelName, string>>;

export async function startServer(
  name: ServerName,
  { folder, files }: { readonly folder: string; readonly files: ModelFiles },
): Promise<ModelServer> {
  switch (name) {
    case 'gateway':
      return startGateway();
    case 'fastify':
      return startFastify(files);
    case 'mlserver':
      await mkdir(path.join(folder, name));
      return startPython(name, ['json'], await mlserver(path.join(folder, name), files));
    case 'litserve':
      return startPython(name, ['list'], await litserve(files));
    case 'bentoml':
      await mkdir(path.join(folder, name));
      return startPython(name, ['list'], await bentoml(path.join(folder, name), files));
  }
}

/** A swarm of one node and its gateway; the swarm is there already when the time begins. */
async function startGateway(): Promise<ModelServer> {
  const swarm = await ProcessSwarm.create();
  let gateway: SwarmProcess | undefined;
  const stop = async (): Promise<void> => {
    await gateway?.stop();
    await swarm[Symbol.asyncDispose]();
  };
  try {
    const node = await swarm.startNode('node-1');
    const references: Partial<Record<ModelName, string>> = {};
    for (const model of MODEL_NAMES) {
      const published = await swarm.publish(model, { 'model.onnx': modelBytes(model) }, [
        '--replicas',
        '1',
      ]);
      references[model] = published.reference;
    }
    const startedAtMs = performance.now();
    gateway = new SwarmProcess({
      name: 'gateway',
      args: [
        ...['gateway', ...swarm.join, '--no-mdns', '--log-level', 'warn', '--json'],
        ...['--data', `${swarm.folder}/gateway`, '--metrics', 'off'],
        ...['--http', '127.0.0.1:0', '--grpc', '127.0.0.1:0'],
        ...Object.values(references).flatMap((reference) => ['--require-model', reference]),
      ],
      env: process.env,
      cwd: swarm.folder,
    });
    const { addresses } = await gateway.ready(AbortSignal.timeout(START_TIMEOUT_MS));
    const [http = '', grpc = ''] = addresses;
    await answers(`${http}/v2/health/ready`);
    const pids = [node.pid, gateway.pid ?? 0];
    return {
      name: 'gateway',
      startMs: performance.now() - startedAtMs,
      idleBytes: async () => residentBytes(pids),
      forms: ['json', 'binary', 'grpc'],
      addressOf: (form, model) => ({
        address:
          form === 'grpc'
            ? grpc.replace(/^\w+:\/\//, '')
            : `${http}/v2/models/${references[model]}/infer`,
        model: references[model] ?? model,
      }),
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startFastify(files: ModelFiles): Promise<ModelServer> {
  const startedAtMs = performance.now();
  const module = new URL('fastify-server.ts', import.meta.url);
  const worker = await WorkerProcess.start<FastifyQuestions>(module, { what: 'fastify' });
  const http = await worker.ask('serve', files);
  return {
    name: 'fastify',
    startMs: performance.now() - startedAtMs,
    idleBytes: async () => residentBytes([worker.pid]),
    forms: ['json', 'octets'],
    addressOf: (_, model) => ({ address: `${http}/${model}`, model }),
    [Symbol.asyncDispose]: async () => worker.stop(),
  };
}

async function startPython(
  name: ServerName,
  forms: readonly Form[],
  { command, args, env, addressOf, readyOf }: PythonServer,
): Promise<ModelServer> {
  const startedAtMs = performance.now();
  // A group of its own: some start processes that outlive them.
  const child = spawn(command, args, { env, stdio: 'ignore', detached: true });
  // Without a listener, a program that cannot be started would end the benchmark.
  let failure: Error | undefined;
  child.once('error', (error) => (failure = error));
  const checkAlive = (): void => {
    if (failure !== undefined) throw failure;
    const how = child.exitCode ?? child.signalCode;
    if (how !== null) throw new Error(`${name} ended with ${how} before it answered`);
  };
  try {
    for (const model of MODEL_NAMES) await answers(readyOf(model), checkAlive);
  } catch (error) {
    await end(child);
    throw error;
  }
  return {
    name,
    startMs: performance.now() - startedAtMs,
    idleBytes: async () => residentBytes([child.pid ?? 0]),
    forms,
    addressOf: (_, model) => ({ address: addressOf(model), model }),
    [Symbol.asyncDispose]: async () => end(child),
  };
}

/** Waits until a server says that it is ready. @throws what `checkAlive` does, or when it takes too long. */
async function answers(url: string, checkAlive?: () => void): Promise<void> {
  const signal = AbortSignal.timeout(START_TIMEOUT_MS);
  for (;;) {
    checkAlive?.();
    // Nobody listens yet.
    const response = await fetch(url, { signal }).catch(() => undefined);
    if (response?.ok === true) return;
    signal.throwIfAborted();
    await delay(LOOK_INTERVAL_MS);
  }
}

async function end(child: ChildProcess): Promise<void> {
  const ended = child.exitCode !== null || child.signalCode !== null;
  if (ended || child.pid === undefined) return;
  const exited = once(child, 'exit');
  // Some start processes in groups of their own.
  const below = await childrenOf(child.pid);
  process.kill(-child.pid, 'SIGKILL');
  for (const { pid } of below) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It went with its group.
    }
  }
  await exited;
}

/** Of these processes and all below them. Linux only. */
async function residentBytes(pids: readonly number[]): Promise<number | null> {
  if (process.platform !== 'linux') return null;
  let bytes = 0;
  for (const pid of pids) {
    const below = (await childrenOf(pid)).map((child) => child.pid);
    for (const one of [pid, ...below]) {
      const status = await readFile(`/proc/${one}/status`, 'utf8').catch(() => '');
      bytes += Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024;
    }
  }
  return bytes;
}
