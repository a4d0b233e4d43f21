import { InvalidModelError } from '../../../protocols/errors.ts';
import { classLabelsSchema } from '../../../protocols/manifest/index.ts';
import { quoted } from '../../../protocols/quoted.ts';
import { describeSchemaIssue } from '../../../protocols/schema-issue.ts';

/** Bytes of a labels file: more than the labels of one version may have. */
export const MAX_LABEL_FILE_BYTES = 16 * 1024 * 1024;

/**
 * Class labels as a file has them, one a line, in the order of the classes.
 *
 * @throws {ERR_INVALID_MODEL} that names the file: not UTF-8, no label, too many, one too long.
 */
export function parseLabelFile(fileName: string, bytes: Uint8Array): string[] {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw refused(fileName, 'is not UTF-8', { cause });
  }
  const lines = text.split('\n').map((line) => line.replace(/\r$/, ''));
  // The last line's end is not the beginning of another label.
  if (lines.at(-1) === '') lines.pop();
  const parsed = classLabelsSchema.safeParse(lines);
  if (parsed.success) return parsed.data;
  throw refused(fileName, `has wrong labels: ${describeSchemaIssue(parsed.error)}`);
}

/** The file of these labels, undefined when one of them holds a line's end. */
export function formatLabelFile(labels: readonly string[]): string | undefined {
  if (labels.some((label) => /[\r\n]/.test(label))) return undefined;
  return labels.map((label) => `${label}\n`).join('');
}

function refused(fileName: string, fault: string, options?: ErrorOptions): InvalidModelError {
  return new InvalidModelError(`labels file ${quoted(fileName)} ${fault}`, {
    ...options,
    details: { file: fileName },
  });
}
