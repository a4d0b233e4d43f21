import pino from 'pino';
import { DeviceProber } from '../../node/device/device-prober.ts';
import type { AnnouncedDevice } from '../../protocols/capacity/index.ts';
import { createTestFolder } from './test-folder.ts';

/** What this host's execution providers said when each was tried. */
export interface GpuProviders {
  /** Those that work besides the CPU, the best first. */
  readonly working: readonly string[];
  /** As a node would announce them. */
  readonly devices: readonly AnnouncedDevice[];
  /** One line each on what works and, with its reason, what does not. */
  readonly findings: readonly string[];
}

/**
 * Tries every execution provider as a node does. A graphics API drawn by the CPU counts too, which a node passes over: it runs
 * the same code.
 */
export async function findGpuProviders(): Promise<GpuProviders> {
  await using folder = await createTestFolder();
  const findings: string[] = [];
  const logger = pino(
    { base: null },
    {
      write: (line: string) => {
        const { provider, reason } = JSON.parse(line) as Record<string, string | undefined>;
        if (provider !== undefined) findings.push(`${provider}: ${reason ?? 'works'}`);
      },
    },
  );
  const prober = new DeviceProber(
    { cacheDir: folder.path, logger },
    { hasGpuSign: async () => true },
  );
  prober.start(() => {});
  await prober.settled;
  const working = await prober.providers();
  await prober.stop();
  return {
    working: working.filter((provider) => provider !== 'cpu'),
    devices: prober.devices,
    findings,
  };
}
