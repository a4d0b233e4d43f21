import { z } from 'zod';

const MAX_FILE_NAME_BYTES = 255;

// What Windows refuses: a model published on one system must be storable on all.
const RESERVED = /^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)/i;
const CONTROL = /\p{Cc}/u;
const FORBIDDEN = /[/\\:*?"<>|]/;

/**
 * Why a text cannot name a file of a package, or undefined when it can: a plain name, the same on every system.
 *
 * A package is one flat directory, so that no name can leave it, whatever a system's separators, drives or streams are.
 */
export function fileNameFault(name: string): string | undefined {
  if (name === '') return 'is empty';
  if (name === '.' || name === '..') return 'is a directory';
  if (new TextEncoder().encode(name).byteLength > MAX_FILE_NAME_BYTES) {
    return `is longer than ${MAX_FILE_NAME_BYTES} bytes`;
  }
  if (FORBIDDEN.test(name)) return 'holds one of / \\ : * ? " < > |, expected a plain file name';
  if (CONTROL.test(name)) return 'holds a control character';
  // Decoders put U+FFFD for each wrong byte, so that two names could become one.
  if (name.includes('\ufffd')) return 'is not UTF-8';
  if (name.endsWith('.') || name.endsWith(' ')) return 'ends with a dot or a space';
  if (RESERVED.test(name)) return 'is a reserved device name';
  return undefined;
}

/** Two names with the same key are one file on some system: letter case and Unicode form do not count there. */
export function fileNameKey(name: string): string {
  return name.normalize('NFC').toLowerCase();
}

/** A field that names a file of the package. */
export const fileNameSchema = z.string().superRefine((name, context) => {
  const fault = fileNameFault(name);
  if (fault !== undefined) context.addIssue({ code: 'custom', message: `file name ${fault}` });
});
