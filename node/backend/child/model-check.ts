import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidModelError } from '../../../protocols/errors.ts';
import type { LoadCommand } from '../pipe-message.ts';

/**
 * Looks at a model before the runtime does: here, where a file made to break its reader breaks nothing else.
 *
 * @throws {ERR_INVALID_MODEL} when the file is not a model that may be served.
 */
export async function checkModelFile({ directory, entry }: LoadCommand): Promise<void> {
  const file = await stat(join(directory, entry)).catch(() => undefined);
  if (file === undefined || !file.isFile()) {
    throw new InvalidModelError(`${entry} does not exist in the version's folder`);
  }
}
