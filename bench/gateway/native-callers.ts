import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { type Measurement, quantile } from '../rpc/measure.ts';
import { type Asked, bodyOf, messageOf } from './request.ts';

const run = promisify(execFile);

/** Requests at once on one connection of gRPC: Triton's own client for Python shares a connection among six callers at most. */
const GRPC_CALLERS_PER_CONNECTION = 4;

/** Bytes before a message of gRPC: whether it is compressed, and its length. */
const GRPC_PREFIX_BYTES = 5;

/** Milliseconds that `h2load` may take beyond its load. */
const SLACK_MS = 20_000;

export type NativeMeasurement = Pick<Measurement, 'requestsPerSecond' | 'p50Us' | 'p99Us'>;

export interface NativeLoad extends Asked {
  readonly callers: number;
  readonly seconds: number;
  /** Bytes of an answer that was looked at: of gRPC, whose failures come with status 200, all must have them. */
  readonly answerBytes: number;
}

/** Whether `h2load` of nghttp2 is there, Debian's package `nghttp2-client`. */
export async function nativeCallersThere(): Promise<boolean> {
  try {
    await run('h2load', ['--version']);
    return true;
  } catch {
    return false;
  }
}

/**
 * Callers in native code, each of which sends when it was answered: on a machine of two cores callers in Node take as much of them as
 * some of the servers, and it is these that are measured.
 *
 * @param folder for its files, which are removed
 * @throws when a request fails, or is answered with less than it should be.
 */
export async function loadNatively(
  { address, model, form, callers, seconds, answerBytes }: NativeLoad,
  folder: string,
): Promise<NativeMeasurement> {
  const grpc = form === 'grpc';
  const bodyFile = path.join(folder, 'request-body');
  const logFile = path.join(folder, 'request-log');
  const { url, headers, body } = grpc ? grpcRequest(address, model) : httpRequest(address, form);
  await writeFile(bodyFile, body);
  const perConnection = grpc ? Math.min(callers, GRPC_CALLERS_PER_CONNECTION) : 1;
  const { stdout } = await run(
    'h2load',
    [
      ...(grpc ? [] : ['--h1']),
      ...['--clients', String(Math.ceil(callers / perConnection))],
      ...['--max-concurrent-streams', String(perConnection)],
      ...['--duration', `${Math.round(1000 * seconds)}ms`],
      ...['--data', bodyFile, '--log-file', logFile],
      ...Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`]),
      url,
    ],
    { timeout: 1000 * seconds + SLACK_MS, maxBuffer: 16 * 1024 * 1024 },
  );
  const lines = (await readFile(logFile, 'utf8')).trimEnd().split('\n');
  await rm(logFile);
  const latenciesUs = new Float64Array(lines.length);
  for (const [index, line] of lines.entries()) {
    const [, status, tookUs] = line.split('\t').map(Number);
    if (status !== 200 || tookUs === undefined) {
      throw new Error(`${url}: a request ended with status ${status}, expected 200`);
    }
    latenciesUs[index] = tookUs;
  }
  checkBytes(stdout, url, lines.length * (grpc ? answerBytes + GRPC_PREFIX_BYTES : 0));
  const sorted = latenciesUs.sort();
  return {
    requestsPerSecond: lines.length / seconds,
    p50Us: quantile(sorted, 0.5),
    p99Us: quantile(sorted, 0.99),
  };
}

interface NativeRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

function httpRequest(url: string, form: Asked['form']): NativeRequest {
  return { url, ...bodyOf(form) };
}

function grpcRequest(address: string, model: string): NativeRequest {
  const { path: method, message } = messageOf(model);
  const prefix = Buffer.alloc(GRPC_PREFIX_BYTES);
  prefix.writeUInt32BE(message.byteLength, 1);
  return {
    url: `http://${address}${method}`,
    headers: { 'content-type': 'application/grpc', te: 'trailers' },
    body: Buffer.concat([prefix, message]),
  };
}

/** By its last line, such as `traffic: 12.3MB (12345678) total, 1.2MB (1234567) headers (space savings 90%), 9.8MB (9876543) data`. */
function checkBytes(stdout: string, url: string, expected: number): void {
  const found = Number(/\((\d+)\) data/.exec(stdout)?.[1]);
  if (found >= expected) return;
  throw new Error(`${url}: answers have ${found} bytes of data, expected at least ${expected}`);
}
