'use strict';

const { existsSync } = require('node:fs');
const { enableCompileCache } = require('node:module');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

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
