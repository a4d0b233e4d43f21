import { execFile } from 'node:child_process';
import os from 'node:os';
import { promisify } from 'node:util';

/** The executor's core, alone; everything else is on the others. */
const EXECUTOR_CORE = '0';

/** True where processes can be pinned to cores: Linux with more than one. */
export const CAN_PIN = process.platform === 'linux' && os.cpus().length > 1;

export async function pinToExecutorCore(pid: number): Promise<void> {
  await pin(pid, EXECUTOR_CORE);
}

export async function pinToOtherCores(pid: number): Promise<void> {
  await pin(pid, `1-${os.cpus().length - 1}`);
}

/** With all its threads, those too that it has begun already. */
async function pin(pid: number, cores: string): Promise<void> {
  if (!CAN_PIN) return;
  await promisify(execFile)('taskset', ['--all-tasks', '--cpu-list', '--pid', cores, String(pid)]);
}
