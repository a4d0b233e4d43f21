import { ConfigError } from '../../protocols/errors.ts';
import type { ImportChoices } from '../model/import/package-import.ts';
import type { CommandOptions } from './command-spec.ts';

/**
 * The choices of an import, from the options of a command that has `IMPORT_OPTIONS`.
 *
 * @throws {ERR_CONFIG} when the version is no number.
 */
export function readImportChoices(options: CommandOptions): ImportChoices {
  const text = (name: string): string | undefined => {
    const value = options[name];
    return typeof value === 'string' ? value : undefined;
  };
  const version = text('tritonVersion');
  if (version !== undefined && !/^[1-9]\d{0,14}$/.test(version)) {
    throw new ConfigError(`--triton-version is '${version}', expected an integer from 1`);
  }
  return {
    model: text('model'),
    tritonVersion: version === undefined ? undefined : Number(version),
    variant: text('variant'),
    sha256: text('sha256'),
  };
}
