import path from 'node:path';
import { establishIsolation, type Isolation } from './backend/isolation.ts';
import type { ResolvedNodeInit } from './node-init.ts';

/** Sees to it that a model which takes its process over finds nothing of the node's, and says so where that cannot be. */
export async function isolateModels({
  dataDir,
  isolation,
  logger,
}: Pick<ResolvedNodeInit, 'dataDir' | 'isolation' | 'logger'>): Promise<Isolation> {
  const hidden = ['node.key', 'records', 'control.sock', path.join('store', 'index')];
  const found = await establishIsolation(isolation, {
    hidden: hidden.map((name) => path.resolve(dataDir, name)),
    dataDir: path.resolve(dataDir),
  });
  if (found.kind === 'namespaces') {
    const files = found.confine === undefined ? 'host' : 'own';
    logger.info(
      { isolation: found.kind, files },
      "models' processes have no network and no secrets",
    );
  } else {
    logger.warn(
      { isolation: found.kind, reason: found.reason },
      "models' processes are NOT shut in: code that takes one over has the network and files of this user (docs/execution.md)",
    );
  }
  return found;
}
