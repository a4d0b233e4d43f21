import { fileNameFault } from '../../protocols/manifest/index.ts';

/** What is wrong with a tensor's name, undefined when nothing is. */
export function nameFault(name: string, maxBytes: number): string | undefined {
  const bytes = Buffer.byteLength(name);
  if (bytes === 0) {
    return 'is empty';
  }
  if (bytes > maxBytes) {
    return `is ${bytes} bytes long, expected at most ${maxBytes}`;
  }
  if (name.includes('\0')) {
    return 'contains NUL, at which the runtime would cut it';
  }
  // The reader puts U+FFFD for each wrong byte, so that two names could become one.
  return name.includes('\ufffd') ? 'is not UTF-8' : undefined;
}

/** The prefix by which ONNX Runtime marks addresses in its own memory instead of files. */
const MEMORY_MARKER = '_ORT_MEM_ADDR_';

/**
 * What is wrong with the name of a file of external data, undefined when it is a plain name beside the model. Stricter than
 * ONNX, which allows paths below the model's folder.
 */
export function externalNameFault(name: string): string | undefined {
  if (name.includes(MEMORY_MARKER)) return 'stands for an address in memory, not for a file';
  return fileNameFault(name);
}
