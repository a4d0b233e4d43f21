/** Where libraries are and which devices to use. */
const DEVICE_VARIABLES = [
  'LD_LIBRARY_PATH',
  'DYLD_LIBRARY_PATH',
  'CUDA_VISIBLE_DEVICES',
  'CUDA_PATH',
  'NVIDIA_VISIBLE_DEVICES',
  'NVIDIA_DRIVER_CAPABILITIES',
  'VK_ICD_FILENAMES',
  'VK_DRIVER_FILES',
];

/** The locale, and what Windows needs to start a process at all. */
const SYSTEM_VARIABLES = [
  'PATH',
  'LANG',
  'LC_ALL',
  'TZ',
  'SystemRoot',
  'SystemDrive',
  'windir',
  'ProgramData',
];

/**
 * How glibc keeps what a model gives back: two arenas, pieces of 32 MiB and more back to the system at once, and what is free at
 * the end of an arena from there on. By itself it moves that bound with what it sees, and a run's tensors leave holes between them that no
 * later one fits: 430 MiB resident where 150 do. With a lower bound each run pays for fresh pages: at 4 MiB a batch of 8 took the
 * benchmark's encoder a fourth longer, its convolutions a third.
 */
const ALLOCATOR_VARIABLES = {
  MALLOC_ARENA_MAX: '2',
  MALLOC_MMAP_THRESHOLD_: String(32 * 1024 * 1024),
  MALLOC_TRIM_THRESHOLD_: String(32 * 1024 * 1024),
};

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The environment of a child whose private folder is `directory`: what it needs of its host's and nothing else, for a model
 * is a stranger's code and environments hold secrets.
 */
export function childEnvironment(
  source: Environment,
  directory: string,
  compileCache?: string,
): Record<string, string> {
  return {
    ...pick(source, SYSTEM_VARIABLES),
    ...deviceEnvironment(source),
    ...ALLOCATOR_VARIABLES,
    // The order in which nvidia-smi counts, so that both mean the same GPU.
    CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
    // Since 1.29 ONNX Runtime reports the models it loads to its maker unless told not to.
    ORT_DISABLE_TELEMETRY: '1',
    // What reads the pipe does so in line, for which there must be one: frame-reader.ts.
    UV_THREADPOOL_SIZE: '1',
    // Drivers keep shader and kernel caches under the home folder: theirs is the private one.
    HOME: directory,
    TMPDIR: directory,
    TEMP: directory,
    TMP: directory,
    // Ours is compiled already: a child starts in half the time.
    ...(compileCache === undefined ? {} : { NODE_COMPILE_CACHE: compileCache }),
  };
}

/** The part of the environment that decides which devices a child can use. */
export function deviceEnvironment(source: Environment): Record<string, string> {
  return pick(source, DEVICE_VARIABLES);
}

function pick(source: Environment, names: readonly string[]): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const name of names) {
    const value = source[name];
    if (value !== undefined) picked[name] = value;
  }
  return picked;
}
