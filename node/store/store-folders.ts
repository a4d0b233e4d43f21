import path from 'node:path';

/** The folders of a store beside its index. */
export interface StoreFolders {
  /** Complete versions, one folder each, that holds the version's files and nothing else. */
  readonly versions: string;
  /** Versions on their way in. */
  readonly partial: string;
  /** Complete versions that are kept as their difference from others, `PackedFolder`. */
  readonly packed: string;
  /** What the node has derived from complete versions for itself; it can be made again at any time. */
  readonly derived: string;
}

/** @param root of the store, absolute */
export function foldersIn(root: string): StoreFolders {
  return {
    versions: path.join(root, 'versions'),
    partial: path.join(root, 'partial'),
    packed: path.join(root, 'packed'),
    derived: path.join(root, 'derived'),
  };
}
