/**
 * What a model's process may know of its host's environment: where libraries are, which devices to use, the locale. Nothing
 * else, for a model is a stranger's code and environments hold secrets. On Windows a process does not start without the rest.
 */
const PASSED_ON = [
  'PATH',
  'LD_LIBRARY_PATH',
  'DYLD_LIBRARY_PATH',
  'LANG',
  'LC_ALL',
  'TZ',
  'CUDA_VISIBLE_DEVICES',
  'CUDA_PATH',
  'NVIDIA_VISIBLE_DEVICES',
  'NVIDIA_DRIVER_CAPABILITIES',
  'VK_ICD_FILENAMES',
  'VK_DRIVER_FILES',
  'SystemRoot',
  'SystemDrive',
  'windir',
  'ProgramData',
];

/** The environment of a child whose private folder is `directory`. */
export function childEnvironment(
  source: Readonly<Record<string, string | undefined>>,
  directory: string,
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const name of PASSED_ON) {
    const value = source[name];
    if (value !== undefined) environment[name] = value;
  }
  // Drivers keep shader and kernel caches under the home folder: theirs is the private one.
  return { ...environment, HOME: directory, TMPDIR: directory, TEMP: directory, TMP: directory };
}
