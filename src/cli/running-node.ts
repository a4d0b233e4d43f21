import path from 'node:path';
import { findNode, type NodeControl } from '../../node/index.ts';
import { NotFoundError } from '../../protocols/errors.ts';
import type { CommandContext } from './command-context.ts';
import { dataFolder } from './data-folder.ts';

/**
 * The node that runs with the data folder of a command's settings.
 *
 * @throws {ERR_NOT_FOUND} when none does.
 */
export async function runningNode({
  settings,
  cwd,
  env,
  signal,
}: CommandContext): Promise<NodeControl> {
  const dataDir = path.resolve(cwd, dataFolder('node', settings.data, env));
  const node = await findNode(dataDir, signal);
  if (node === undefined) throw new NotFoundError(`no node runs with the data folder ${dataDir}`);
  return node;
}
