import { existsSync } from 'node:fs';
import path from 'node:path';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';

/** Where `src/` is: above this file in a checkout, and above its build in a package, for the build copies no messages. */
const ROOTS = [
  path.join(import.meta.dirname, '../..'),
  path.join(import.meta.dirname, '../../..'),
] as const;

/** Reads messages and services from files named from the package's folder. 64-bit integers become text, so that none is rounded. */
export function loadProtos(names: readonly string[]): PackageDefinition {
  const files = names.map((name) => {
    const file = ROOTS.map((root) => path.join(root, name)).find(existsSync);
    if (file === undefined) throw new Error(`${name} of gpu-swarm is missing`);
    return file;
  });
  return loadSync(files, {
    keepCase: true,
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  });
}
