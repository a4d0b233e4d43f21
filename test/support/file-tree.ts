import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** Files by their paths; `{ link }` is a symbolic link to that text. */
export type FileTree = Readonly<Record<string, string | Uint8Array | { readonly link: string }>>;

/** Writes files and the folders that they lie in. */
export async function writeTree(folder: string, tree: FileTree): Promise<void> {
  for (const [name, content] of Object.entries(tree)) {
    const file = path.join(folder, name);
    await mkdir(path.dirname(file), { recursive: true });
    if (typeof content === 'string' || content instanceof Uint8Array)
      await writeFile(file, content);
    else await symlink(content.link, file);
  }
}

/** The bytes of every file below a folder, in base64 by path; empty when there is no such folder. */
export async function readTree(folder: string): Promise<Record<string, string>> {
  const tree: Record<string, string> = {};
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries.filter((found) => found.isFile())) {
    const file = path.join(entry.parentPath, entry.name);
    const name = path.relative(folder, file).split(path.sep).join('/');
    tree[name] = (await readFile(file)).toString('base64');
  }
  return tree;
}
