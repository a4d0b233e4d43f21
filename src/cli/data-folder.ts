import os from 'node:os';
import path from 'node:path';

/** What a data folder is for; each role has its own below the user's. */
export type DataRole = 'node' | 'bootstrap' | 'publisher' | 'client' | 'gateway';

/**
 * The folder of a role: the one that was set, else one below the user's data folder.
 *
 * @see https://specifications.freedesktop.org/basedir-spec/latest/, `$XDG_DATA_HOME`
 */
export function dataFolder(
  role: DataRole,
  set: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): string {
  if (set !== undefined) return path.resolve(set);
  const xdg = env['XDG_DATA_HOME'];
  // The specification: a relative path is to be ignored.
  const base =
    xdg !== undefined && path.isAbsolute(xdg) ? xdg : path.join(os.homedir(), '.local', 'share');
  return path.join(base, 'gpu-swarm', role);
}
