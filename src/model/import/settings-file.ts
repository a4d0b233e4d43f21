import { isDeepStrictEqual } from 'node:util';
import { PACKAGE_FILE_NAME, type PackageSettings, parsePackageFile } from '../package-file.ts';
import type { PackageStaging } from '../package-staging.ts';

/**
 * Puts mapped settings into a package: over those of a package file that came along, which stays byte for byte as it is when
 * it says the same already. Without any setting there is no file.
 *
 * @param given the bytes of a package file that came along
 * @throws {ERR_INVALID_MODEL} that names the field which is out of bounds.
 */
export async function writeSettings(
  staging: PackageStaging,
  mapped: PackageSettings,
  given?: Uint8Array,
): Promise<void> {
  const base: Record<string, unknown> =
    given === undefined
      ? {}
      : (JSON.parse(Buffer.from(given).toString()) as Record<string, unknown>);
  const merged = mergeSettings(base, JSON.parse(JSON.stringify(mapped)) as Record<string, unknown>);
  if (given !== undefined && isDeepStrictEqual(merged, base)) {
    return staging.write(PACKAGE_FILE_NAME, given);
  }
  if (Object.keys(merged).length === 0) return;
  const bytes = Buffer.from(`${JSON.stringify(merged, null, 2)}\n`);
  parsePackageFile(bytes);
  await staging.write(PACKAGE_FILE_NAME, bytes);
}

/** Objects are merged field by field, everything else is replaced. */
function mergeSettings(
  base: Readonly<Record<string, unknown>>,
  over: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const before = merged[key];
    merged[key] = isFields(before) && isFields(value) ? mergeSettings(before, value) : value;
  }
  return merged;
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
