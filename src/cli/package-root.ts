import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** The folder of this package, found from this file upwards: the checkout, or where it is installed. */
export function packageRoot(): string {
  let folder = import.meta.dirname;
  while (!existsSync(path.join(folder, 'package.json'))) {
    const parent = path.dirname(folder);
    if (parent === folder) throw new Error('package.json of gpu-swarm is missing');
    folder = parent;
  }
  return folder;
}

/** The version that package.json tells. */
export function packageVersion(): string {
  const text = readFileSync(path.join(packageRoot(), 'package.json'), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

/** The file that starts the command, to start further processes of it. */
export function commandFile(): string {
  return path.join(packageRoot(), 'bin', 'swarm.js');
}
