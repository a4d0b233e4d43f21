import { execFile } from 'node:child_process';
import type { AbortOptions } from '../../protocols/types.ts';

/** Milliseconds the program has: on a host whose driver hangs, it hangs too. */
const TIMEOUT_MS = 5_000;

/** Bytes of its answer; a line is some 160 and a host has at most some 16 GPUs and some hundred processes on them. */
const MAX_OUTPUT_BYTES = 256 * 1024;

const FORMAT = '--format=csv,noheader,nounits';

/** The name comes last, for it may hold a comma. */
const GPU_FIELDS = [
  'index',
  'uuid',
  'memory.total',
  'memory.free',
  'utilization.gpu',
  'mig.mode.current',
  'driver_version',
  'name',
] as const;

/** Drivers before 450 know nothing of MIG, and refuse a question that names it. */
const OLD_GPU_FIELDS = GPU_FIELDS.filter((field) => field !== 'mig.mode.current');

const PROCESS_QUERY = '--query-compute-apps=pid,used_memory';

/** A GPU as its driver describes it, or a part of one that MIG has made a GPU of its own. */
export interface NvidiaGpu {
  /** Position among all; of a MIG instance, of the GPU it is part of. */
  readonly index: number;
  /** How `CUDA_VISIBLE_DEVICES` names it; null when the driver does not say. */
  readonly uuid: string | null;
  readonly name: string;
  /** Null when the driver does not say: a GPU that shares the host's memory has none of its own. */
  readonly memoryBytes: number | null;
  /** Bytes that nothing uses; null when unknown. */
  readonly freeBytes: number | null;
  /** Per cent of the last moment in which it computed; null when unknown. */
  readonly busyPercent: number | null;
  readonly driverVersion: string;
}

/** A process that computes on a GPU. */
export interface GpuProcess {
  readonly pid: number;
  /** Null when the driver does not say. */
  readonly memoryBytes: number | null;
}

export interface NvidiaSmiOptions extends AbortOptions {
  /** The program. @default 'nvidia-smi' */
  readonly command?: string | undefined;
  /** Milliseconds it has. @default 5000 */
  readonly timeoutMs?: number | undefined;
}

/** Asks the driver for its GPUs; none where there is no driver, or none that answers in time. */
export async function queryNvidiaGpus(options: NvidiaSmiOptions = {}): Promise<NvidiaGpu[]> {
  const answer =
    (await ask([`--query-gpu=${GPU_FIELDS.join()}`, FORMAT], options)) ??
    (await ask([`--query-gpu=${OLD_GPU_FIELDS.join()}`, FORMAT], options));
  if (answer === undefined) return [];
  const found = parseNvidiaSmi(answer);
  if (!found.some(({ mig }) => mig)) return found.map(({ gpu }) => gpu);
  const instances = parseMigInstances((await ask(['-L'], options)) ?? '');
  return found.flatMap(({ gpu, mig }) => (mig ? migGpus(gpu, instances) : [gpu]));
}

/** Processes that compute on any GPU; null where the driver does not say. */
export async function queryGpuProcesses(
  options: NvidiaSmiOptions = {},
): Promise<GpuProcess[] | null> {
  const answer = await ask([PROCESS_QUERY, FORMAT], options);
  return answer === undefined ? null : parseGpuProcesses(answer);
}

/** What the program answers; undefined where it does not: not installed, no device, a driver that does not match its kernel. */
async function ask(
  args: readonly string[],
  { command = 'nvidia-smi', signal, timeoutMs = TIMEOUT_MS }: NvidiaSmiOptions,
): Promise<string | undefined> {
  const settings = {
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    maxBuffer: MAX_OUTPUT_BYTES,
    windowsHide: true,
    signal,
  } as const;
  return new Promise((resolve) => {
    execFile(command, args, settings, (error, stdout) => {
      resolve(error === null ? stdout : undefined);
    });
  });
}

/** Reads one line a GPU, with or without the field on MIG; lines of another form are passed over. */
export function parseNvidiaSmi(
  output: string,
): { readonly gpu: NvidiaGpu; readonly mig: boolean }[] {
  return output.split('\n').flatMap((line) => {
    const fields = line.split(',').map((field) => field.trim());
    const [index = '', uuid = '', memory = '', free = '', busy = ''] = fields;
    // A driver's version is a number; the state of MIG is not.
    const hasMig = !/^\d/.test(fields[5] ?? '');
    const [driverVersion = '', ...name] = fields.slice(hasMig ? 6 : 5);
    if (!/^\d+$/.test(index) || !uuid.startsWith('GPU-') || name.length === 0) return [];
    const gpu: NvidiaGpu = {
      index: Number(index),
      uuid,
      name: name.join(', '),
      memoryBytes: positive(parseMebibytes(memory)),
      freeBytes: parseMebibytes(free),
      busyPercent: parsePercent(busy),
      driverVersion,
    };
    return [{ gpu, mig: hasMig && fields[5] === 'Enabled' }];
  });
}

/** A part of a GPU, as `nvidia-smi -L` lists it. */
export interface MigInstance {
  readonly gpuUuid: string;
  readonly uuid: string;
  /** Such as `1g.10gb`. */
  readonly profile: string;
}

/** Reads the list of GPUs with the parts of each below it. */
export function parseMigInstances(output: string): MigInstance[] {
  let gpuUuid = '';
  return output.split('\n').flatMap((line) => {
    gpuUuid = /^GPU \d+: .*\(UUID: (GPU-[^)]+)\)/.exec(line)?.[1] ?? gpuUuid;
    const [, profile, uuid] = /^\s+MIG (\S+)\s.*\(UUID: (MIG-[^)]+)\)/.exec(line) ?? [];
    return profile === undefined || uuid === undefined ? [] : [{ gpuUuid, uuid, profile }];
  });
}

/** The figures of the whole GPU are none of its parts': they are unknown. A GPU without any part computes nothing. */
function migGpus(gpu: NvidiaGpu, instances: readonly MigInstance[]): NvidiaGpu[] {
  return instances
    .filter(({ gpuUuid }) => gpuUuid === gpu.uuid)
    .map(({ uuid, profile }) => ({
      ...gpu,
      uuid,
      name: `${gpu.name} MIG ${profile}`,
      memoryBytes: null,
      freeBytes: null,
      busyPercent: null,
    }));
}

/** Reads one line a process; lines of another form are passed over. */
export function parseGpuProcesses(output: string): GpuProcess[] {
  return output.split('\n').flatMap((line) => {
    const [pid = '', memory = ''] = line.split(',').map((field) => field.trim());
    return /^\d+$/.test(pid) ? [{ pid: Number(pid), memoryBytes: parseMebibytes(memory) }] : [];
  });
}

/**
 * The GPUs that this process may use, as its environment says: what is pinned for it is pinned for its children.
 *
 * @param visible `CUDA_VISIBLE_DEVICES`: indices or beginnings of uuids, up to the first that names none
 */
export function visibleGpus(
  gpus: readonly NvidiaGpu[],
  visible: string | undefined,
): readonly NvidiaGpu[] {
  if (visible === undefined) return gpus;
  const chosen: NvidiaGpu[] = [];
  for (const name of visible.split(',').map((part) => part.trim())) {
    const gpu = gpus.find(({ index, uuid }) =>
      /^\d+$/.test(name) ? index === Number(name) : name !== '' && uuid?.startsWith(name) === true,
    );
    if (gpu === undefined) break;
    chosen.push(gpu);
  }
  return chosen;
}

/** `[N/A]`, `[Not Supported]` and `[Unknown Error]` are no number. */
function parseMebibytes(text: string): number | null {
  return /^\d+$/.test(text) ? Number(text) * 1024 * 1024 : null;
}

/** No GPU has a memory of 0: what says so does not know. */
function positive(bytes: number | null): number | null {
  return bytes === 0 ? null : bytes;
}

function parsePercent(text: string): number | null {
  const percent = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return percent <= 100 ? percent : null;
}
