import { execFile } from 'node:child_process';
import type { AbortOptions } from '../../protocols/types.ts';

/** Milliseconds the program has: on a host whose driver hangs, it hangs too. */
const TIMEOUT_MS = 5_000;

/** Bytes of its answer; a line is some 80 and a host has at most some 16. */
const MAX_OUTPUT_BYTES = 64 * 1024;

/** The name comes last, for it may hold a comma. */
const QUERY = '--query-gpu=index,memory.total,driver_version,name';

/** A GPU as its driver describes it. */
export interface NvidiaGpu {
  readonly index: number;
  readonly name: string;
  /** Null when the driver does not say: a GPU that shares the host's memory has none of its own. */
  readonly memoryBytes: number | null;
  readonly driverVersion: string;
}

export interface NvidiaSmiOptions extends AbortOptions {
  /** The program. @default 'nvidia-smi' */
  readonly command?: string | undefined;
}

/** Asks the driver for its GPUs; none where there is no driver, or none that answers in time. */
export async function queryNvidiaGpus(options: NvidiaSmiOptions = {}): Promise<NvidiaGpu[]> {
  const { command = 'nvidia-smi', signal } = options;
  const settings = {
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
    maxBuffer: MAX_OUTPUT_BYTES,
    windowsHide: true,
    signal,
  } as const;
  return new Promise((resolve) => {
    execFile(command, [QUERY, '--format=csv,noheader,nounits'], settings, (error, stdout) => {
      // Not installed, no device, a driver that does not match its kernel: the execution providers will say more.
      resolve(error === null ? parseNvidiaSmi(stdout) : []);
    });
  });
}

/** Reads the answer to {@link QUERY}: one line a GPU; lines of another form are passed over. */
export function parseNvidiaSmi(output: string): NvidiaGpu[] {
  return output.split('\n').flatMap((line) => {
    const [index, memory, driverVersion, ...name] = line.split(',').map((field) => field.trim());
    if (index === undefined || !/^\d+$/.test(index) || name.length === 0) return [];
    return [
      {
        index: Number(index),
        name: name.join(', '),
        memoryBytes: parseMebibytes(memory ?? ''),
        driverVersion: driverVersion ?? '',
      },
    ];
  });
}

/** `[N/A]`, `[Not Supported]` and `[Unknown Error]` are no number; 0 would be a lie too. */
function parseMebibytes(text: string): number | null {
  const mebibytes = /^\d+$/.test(text) ? Number(text) : 0;
  return mebibytes > 0 ? mebibytes * 1024 * 1024 : null;
}
