import { readdir, readFile } from 'node:fs/promises';

/** A process of this one's, and what it holds. */
export interface ChildMemory {
  readonly pid: number;
  /** Bytes of its own: what it shares with others is not in it. */
  readonly anonymousBytes: number;
}

/** The children of this process and theirs, with the memory each holds. Linux only. */
export async function childrenOf(pid: number): Promise<readonly ChildMemory[]> {
  const found: ChildMemory[] = [];
  const tasks = await readdir(`/proc/${pid}/task`);
  for (const task of tasks) {
    const children = await readFile(`/proc/${pid}/task/${task}/children`, 'utf8').catch(() => '');
    for (const child of children.split(' ').filter(Boolean).map(Number)) {
      const status = await readFile(`/proc/${child}/status`, 'utf8').catch(() => '');
      const kib = /^RssAnon:\s+(\d+)/m.exec(status)?.[1];
      // Gone between the two looks, or dead and not yet buried: it holds nothing.
      if (kib === undefined) continue;
      found.push({ pid: child, anonymousBytes: Number(kib) * 1024 }, ...(await childrenOf(child)));
    }
  }
  return found;
}
