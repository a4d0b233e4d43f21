import { closeSync, readdirSync, readFileSync } from 'node:fs';

/** Of `fcntl.h` on Linux, as `/proc/<pid>/fdinfo` shows it: the descriptor closes when the process becomes another program. */
const O_CLOEXEC = 0o2000000;

/**
 * Closes what this process was started with above `last`: what leaked into the node from whoever started it leaks no further. All
 * that Node itself opens is marked to close, so what is not came from outside. (Node also marks what it was started with, up to the
 * first gap from 16 on, so none of that gets here.)
 *
 * Linux alone needs it: elsewhere the system hands on only what a parent names.
 */
export function closeInheritedFiles(last: number, platform = process.platform): void {
  if (platform !== 'linux') return;
  const folder = '/proc/self/fdinfo';
  for (const name of readdirSync(folder)) {
    const fd = Number(name);
    if (fd > last && inherited(`${folder}/${name}`)) closeSync(fd);
  }
}

function inherited(info: string): boolean {
  let text: string;
  try {
    text = readFileSync(info, 'latin1');
  } catch {
    // The descriptor of the folder just read: closed by now.
    return false;
  }
  const flags = /^flags:\s*([0-7]+)$/m.exec(text)?.[1] ?? '';
  return flags !== '' && (Number.parseInt(flags, 8) & O_CLOEXEC) === 0;
}
