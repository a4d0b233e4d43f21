import path from 'node:path';

/** An address stays as it is; a path starts at the folder the command was called in. */
export function importLocation(cwd: string, what: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(what) ? what : path.resolve(cwd, what);
}
