#!/usr/bin/env node
/* Any Node ever released can read this file: it says what is needed before anything that needs it is loaded. */
'use strict';

var NEEDED_MAJOR = 22;
var NEEDED_MINOR = 13;

// The second source of the version is for the test of the refusal alone.
var found = process.env.SWARM_TEST_NODE_VERSION || process.version;
var parts = found.replace(/^v/, '').split('.');
var major = Number(parts[0]);
var minor = Number(parts[1]);

if (major > NEEDED_MAJOR || (major === NEEDED_MAJOR && minor >= NEEDED_MINOR)) {
  require('./start.js');
} else {
  process.stderr.write(
    'error: swarm needs Node ' +
      NEEDED_MAJOR +
      '.' +
      NEEDED_MINOR +
      ' or newer, this is ' +
      found +
      ' (' +
      process.execPath +
      '): use Node ' +
      NEEDED_MAJOR +
      '.' +
      NEEDED_MINOR +
      ' or newer (https://nodejs.org), or run it through npm in the checkout: npx swarm ...\n',
  );
  // 78 is EX_CONFIG of sysexits.h: the machine's configuration is what is wrong.
  process.exit(78);
}
