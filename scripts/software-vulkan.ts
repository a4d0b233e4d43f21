import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Drivers older than 23 lack what the runtime's WebGPU asks for, so a stable release's backports are looked in too. */
const PACKAGES = ['mesa-vulkan-drivers', 'libvulkan1'];
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const LIBRARIES = 'usr/lib/x86_64-linux-gnu';
const DRIVER = 'usr/share/vulkan/icd.d/lvp_icd.json';

/** Milliseconds for one program; the packages are some 40 MB. */
const TIMEOUT_MS = 5 * 60_000;

/**
 * Unpacks Mesa's software Vulkan (lavapipe) from Debian's packages into a folder, without being root and without installing
 * anything. What is there already is used again.
 *
 * @returns environment variables by which a process finds it
 * @throws with what to do by hand, where the system is not Debian on x64 or its packages cannot be had
 */
export async function softwareVulkan(folder: string): Promise<Record<string, string>> {
  const root = path.join(folder, 'root');
  const done = path.join(folder, 'complete');
  if ((await readFile(done, 'utf8').catch(() => '')) === '') {
    try {
      await unpackPackages(folder, root);
    } catch (cause) {
      throw new Error(
        'no software Vulkan could be prepared: install Mesa 23 or later and set VK_DRIVER_FILES to its lvp_icd.json',
        { cause },
      );
    }
    await writeFile(done, 'yes\n');
  }
  const present = process.env['LD_LIBRARY_PATH'];
  return {
    LD_LIBRARY_PATH: [path.join(root, LIBRARIES), ...(present === undefined ? [] : [present])].join(
      ':',
    ),
    VK_DRIVER_FILES: path.join(root, DRIVER),
  };
}

async function unpackPackages(folder: string, root: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  for (const name of ['lists/partial', 'cache/archives/partial', 'root']) {
    await mkdir(path.join(folder, name), { recursive: true });
  }
  const { address, release } = await debianSource();
  const backports = `${release}-backports`;
  const sources = [release, backports].map(
    (suite) => `deb [signed-by=${KEYRING}] ${address} ${suite} main\n`,
  );
  await writeFile(path.join(folder, 'sources.list'), sources.join(''));
  const apt = async (...args: string[]) =>
    run('apt-get', [...settings(folder), ...args], {
      timeout: TIMEOUT_MS,
      maxBuffer: 16 * 1024 ** 2,
    });
  await apt('update');
  await apt(
    'install',
    '--yes',
    '--download-only',
    '--no-install-recommends',
    '-t',
    backports,
    ...PACKAGES,
  );
  const archives = path.join(folder, 'cache', 'archives');
  for (const name of await readdir(archives)) {
    if (name.endsWith('.deb')) await run('dpkg', ['-x', path.join(archives, name), root]);
  }
  await readFile(path.join(root, DRIVER));
}

/** Everything of apt's in our folder but what is installed. */
function settings(folder: string): string[] {
  const options = {
    'Dir::Etc::sourcelist': path.join(folder, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State::Lists': path.join(folder, 'lists'),
    'Dir::Cache': path.join(folder, 'cache'),
    'APT::Sandbox::User': '',
    'Debug::NoLocking': 'true',
  };
  return Object.entries(options).map(([name, value]) => `-o${name}=${value}`);
}

/** Where this Debian gets its packages from, and its name. */
async function debianSource(): Promise<{ address: string; release: string }> {
  const system = await readFile('/etc/os-release', 'utf8');
  const release = /^VERSION_CODENAME=(\w+)$/m.exec(system)?.[1];
  if (!/^ID=debian$/m.test(system) || release === undefined) {
    throw new Error(
      `the system is ${/^PRETTY_NAME=(.*)$/m.exec(system)?.[1] ?? 'unknown'}, expected Debian`,
    );
  }
  const format = '$(CODENAME) $(REPO_URI)';
  const { stdout } = await run('apt-get', [
    'indextargets',
    '--format',
    format,
    'Created-By: Packages',
  ]);
  const line = stdout.split('\n').find((target) => target.startsWith(`${release} `));
  if (line === undefined) throw new Error(`apt knows no source of ${release}`);
  return { address: line.slice(release.length + 1), release };
}
