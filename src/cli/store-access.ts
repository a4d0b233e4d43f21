import { access } from 'node:fs/promises';
import path from 'node:path';
import { type ControlRequest, findNode, storeVerbs, VersionStore } from '../../node/index.ts';
import { ConfigError } from '../../protocols/errors.ts';

/**
 * Asks for something of a node's store, item by item: the node when it runs, else its data folder itself.
 *
 * @throws {ERR_CONFIG} when the folder is not one of a node; {ERR_STORE} when another process holds it and does not answer.
 */
export async function* askStore(
  dataDir: string,
  request: ControlRequest,
  signal: AbortSignal,
): AsyncGenerator {
  const node = await findNode(dataDir, signal);
  if (node !== undefined) {
    yield* node.ask(request, signal);
    return;
  }
  const folder = path.join(dataDir, 'store');
  try {
    await access(path.join(folder, 'index'));
  } catch (cause) {
    throw new ConfigError(
      `${dataDir} holds no store, expected the data folder of a node (--data)`,
      { cause },
    );
  }
  const store = await VersionStore.open(folder);
  try {
    const run = storeVerbs(store.upkeep)[request.verb];
    if (run !== undefined) yield* run(request.argument, signal);
  } finally {
    await store.close();
  }
}
