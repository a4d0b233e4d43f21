import { setFlagsFromString } from 'node:v8';

/**
 * For the start of a daemon that has a channel to this process; any other sets it itself, where bin/start.js says why.
 *
 * @param command such as `node`
 */
export function daemonNodeOptions(command: string): readonly string[] {
  return [`--max-semi-space-size=${command === 'gateway' ? 16 : 8}`];
}

/** Node 24's V8. In 22's (12.4) the option is not there nor needed, in 26's (14.6) it changes nothing. */
const AFFECTED_V8 = '13.6.';

/**
 * Keeps this process from collecting all its heap after every 64 MiB that passed through buffers outside it: that was two
 * fifths of the CPU time of moving a model, and a third of a server's for large requests. What is outside then counts as what
 * is inside does; some 70 MiB more stay resident under load.
 */
export function tuneGarbageCollection(): void {
  if (!process.versions.v8.startsWith(AFFECTED_V8)) return;
  setFlagsFromString('--external-memory-accounted-in-global-limit');
}
