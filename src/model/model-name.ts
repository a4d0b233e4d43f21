/** Characters of a model's own text that a message shows: names may be 64 KiB long. */
const SHOWN_CHARACTERS = 64;

/** A name from a model in quotes, cut short and without characters that could forge a line of a log. */
export function quoted(name: string): string {
  const shown = name
    .slice(0, SHOWN_CHARACTERS)
    // oxlint-disable-next-line no-control-regex -- control characters are what this is about
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/gu, '\ufffd');
  return `'${shown}${name.length > SHOWN_CHARACTERS ? '…' : ''}'`;
}

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

/** What NTFS and ext4 allow in one name. */
const MAX_FILE_NAME_BYTES = 255;

/** The prefix by which ONNX Runtime marks addresses in its own memory instead of files. */
const MEMORY_MARKER = '_ORT_MEM_ADDR_';

/**
 * What is wrong with the name of a file of external data, undefined when it is a plain name beside the model.
 *
 * Stricter than ONNX, which allows paths below the model's folder: a package is flat, so that no name can leave it on
 * any operating system, whatever its separators, drives or alternate streams.
 */
export function fileNameFault(name: string): string | undefined {
  if (name === '') {
    return 'is empty';
  }
  if (Buffer.byteLength(name) > MAX_FILE_NAME_BYTES) {
    return `is longer than ${MAX_FILE_NAME_BYTES} bytes`;
  }
  if (name.includes(MEMORY_MARKER)) {
    return 'stands for an address in memory, not for a file';
  }
  if (/[/\\:]/u.test(name) || name === '.' || name === '..') {
    return 'is a path, expected the plain name of a file beside the model';
  }
  // oxlint-disable-next-line no-control-regex -- control characters are what this is about
  if (/[\u0000-\u001f\u007f\ufffd]/u.test(name) || /[. ]$/u.test(name)) {
    return 'has characters that not every file system keeps';
  }
  return undefined;
}
