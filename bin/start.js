'use strict';

const { existsSync } = require('node:fs');
const { enableCompileCache } = require('node:module');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

/**
 * MiB of half the space for new objects, of the commands that run until they are stopped, when no subcommand follows them; V8 would
 * let them have 32. Buffers that nobody holds any more are freed when it is full, so that what stays resident under large requests
 * follows it: 55 MiB less with 8, at the same cost of a request in a node. A gateway makes more for each, and has a tenth more CPU
 * for it with 8 than with 16 or 32.
 */
const NEW_SPACE_MIB = { node: 8, bootstrap: 8, gateway: 16 };
const NEW_SPACE_OPTION = '--max-semi-space-size';

boundDaemonMemory();

const root = path.dirname(__dirname);

// Compiled code is kept between runs: a command starts in half the time. Where the folder cannot be written, it starts all the same.
enableCompileCache(path.join(root, 'node_modules', '.cache', 'compile'));

const source = path.join(root, 'src', 'cli', 'main.ts');
const built = path.join(root, 'dist', 'src', 'cli', 'main.js');

// A checkout runs its sources where Node strips types and knows `using` (24 and newer), an installed package has only the build.
const runsSources = process.features.typescript && Number.parseInt(process.versions.node, 10) >= 24;
const entry = runsSources && existsSync(source) ? source : built;

if (existsSync(entry)) {
  void import(pathToFileURL(entry).href).then((cli) => cli.main());
} else {
  process.stderr.write(
    `error: Node ${process.version} cannot run the TypeScript sources of this checkout: run it through npm (npx swarm ...), or build first (npm run build)\n`,
  );
  process.exit(78);
}

/** Only the start of a process can set it: the daemon starts once more in its place, the same process to the system. */
function boundDaemonMemory() {
  const [command, operand = '-'] = process.argv.slice(2);
  if (!Object.hasOwn(NEW_SPACE_MIB, command) || !operand.startsWith('-')) return;
  const given = `${process.execArgv.join(' ')} ${process.env.NODE_OPTIONS ?? ''}`;
  // A process with a channel to its parent would lose it; Windows and Node 22.13 cannot replace a process.
  if (given.includes(NEW_SPACE_OPTION) || process.connected || process.execve === undefined) return;
  const option = `${NEW_SPACE_OPTION}=${NEW_SPACE_MIB[command]}`;
  process.execve(process.execPath, [
    process.execPath,
    ...process.execArgv,
    option,
    ...process.argv.slice(1),
  ]);
}
