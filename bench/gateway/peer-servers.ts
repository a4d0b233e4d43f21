import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import path from 'node:path';
import { installRequirements, pythonCommand, TEST_TOOLS } from '../../test/support/python-tools.ts';
import type { ModelName } from './models.ts';

/** Which servers are in one folder: BentoML wants other versions than LitServe. */
const REQUIREMENTS = {
  others: path.join(import.meta.dirname, 'requirements.txt'),
  bentoml: path.join(import.meta.dirname, 'requirements-bentoml.txt'),
} as const;

type PackageSet = keyof typeof REQUIREMENTS;

/** Beside what tests fetch: another folder when the versions change. */
function packagesOf(set: PackageSet): string {
  const digest = createHash('sha256').update(readFileSync(REQUIREMENTS[set])).digest('hex');
  return path.join(TEST_TOOLS, `bench-${digest.slice(0, 12)}`);
}

/** Milliseconds in which Python is found. */
const PYTHON_TIMEOUT_MS = 30_000;

/** How a server in Python is started, and where it then answers. */
export interface PythonServer {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly addressOf: (model: ModelName) => string;
  /** What answers 200 once the model is there. */
  readonly readyOf: (model: ModelName) => string;
}

type Files = Readonly<Record<ModelName, string>>;

/** Installs MLServer and LitServe, or BentoML, where that was not done before. @throws what pip says, or that there is no Python. */
export async function installPythonServers(set: PackageSet, signal: AbortSignal): Promise<void> {
  await installRequirements(REQUIREMENTS[set], packagesOf(set), signal);
}

/** MLServer in one process: without workers, it runs the models where it answers. */
export async function mlserver(folder: string, files: Files): Promise<PythonServer> {
  const [http, grpc, metrics] = [await freePort(), await freePort(), await freePort()];
  const settings = {
    host: '127.0.0.1',
    parallel_workers: 0,
    debug: false,
    use_structured_logging: false,
  };
  const ports = { http_port: http, grpc_port: grpc, metrics_port: metrics };
  await writeFile(path.join(folder, 'settings.json'), JSON.stringify({ ...settings, ...ports }));
  for (const [name, uri] of Object.entries(files)) {
    const model = path.join(folder, name);
    await mkdir(model);
    const implementation = 'mlserver_runtime.OnnxModel';
    const text = JSON.stringify({ name, implementation, parameters: { uri } });
    await writeFile(path.join(model, 'model-settings.json'), text);
  }
  return {
    ...(await python('others', ['-c', 'from mlserver.cli import main; main()', 'start', folder])),
    addressOf: (model) => `http://127.0.0.1:${http}/v2/models/${model}/infer`,
    readyOf: (model) => `http://127.0.0.1:${http}/v2/models/${model}/ready`,
  };
}

/** LitServe with one worker for each model. */
export async function litserve(files: Files): Promise<PythonServer> {
  const port = await freePort();
  const models = Object.entries(files).map(([name, file]) => `${name}=${file}`);
  const program = path.join(import.meta.dirname, 'litserve_server.py');
  return {
    ...(await python('others', [program, String(port), ...models])),
    addressOf: (model) => `http://127.0.0.1:${port}/${model}`,
    readyOf: () => `http://127.0.0.1:${port}/health`,
  };
}

/** BentoML with one worker that has both models. */
export async function bentoml(folder: string, files: Files): Promise<PythonServer> {
  const port = await freePort();
  const started = await python('bentoml', [
    ...['-m', 'bentoml', 'serve', 'bentoml_server:Models'],
    ...['--host', '127.0.0.1', '--port', String(port), '--working-dir', import.meta.dirname],
  ]);
  const models = Object.entries(files).map(([name, file]) => [`BENCH_${name.toUpperCase()}`, file]);
  // It keeps things in the home of whoever starts it, and tells its makers that it was.
  const apart = { BENTOML_HOME: folder, BENTOML_DO_NOT_TRACK: 'True' };
  return {
    ...started,
    env: { ...started.env, ...apart, ...Object.fromEntries(models) },
    addressOf: (model) => `http://127.0.0.1:${port}/${model}`,
    readyOf: () => `http://127.0.0.1:${port}/readyz`,
  };
}

async function python(set: PackageSet, args: readonly string[]) {
  const command = await pythonCommand(AbortSignal.timeout(PYTHON_TIMEOUT_MS));
  const env = {
    ...process.env,
    PYTHONPATH: `${packagesOf(set)}:${import.meta.dirname}`,
    PYTHONDONTWRITEBYTECODE: '1',
  };
  return { command, args, env };
}

/** One that nobody listens on now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
