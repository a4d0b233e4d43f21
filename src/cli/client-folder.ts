import path from 'node:path';
import type { CommandContext } from './command-context.ts';
import { dataFolder } from './data-folder.ts';

/** Where the clients of one user keep what outlives them. */
export function clientFolder({
  cwd,
  env,
  settings,
}: Pick<CommandContext, 'cwd' | 'env' | 'settings'>): string {
  return path.resolve(cwd, dataFolder('client', settings.data, env));
}
