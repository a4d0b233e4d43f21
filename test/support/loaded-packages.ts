import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ownEnvironment } from './own-environment.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Notes the packages that are resolved from then on, whoever imports them. */
const WATCH = `
  import { registerHooks } from 'node:module';
  const packages = new Set();
  registerHooks({
    resolve(specifier, context, next) {
      const found = next(specifier, context);
      const name = /node_modules\\/((?:@[^/]+\\/)?[^/]+)\\/(?!.*node_modules)/.exec(found.url)?.[1];
      if (name !== undefined) packages.add(name);
      return found;
    },
  });
`;

/**
 * The packages that a program loads in a process of its own, in the order in which it does.
 *
 * @param program of statements of a module, which imports what it needs with `await import`
 */
export async function loadedPackages(
  program: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string[]> {
  const whole = `${WATCH}${program}\nprocess.stdout.write(JSON.stringify([...packages]));`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--conditions=swarm-source', '--input-type=module', '--eval', whole],
    { cwd: ROOT, timeout: 60_000, env: { ...ownEnvironment(), ...env } },
  );
  return JSON.parse(stdout) as string[];
}
