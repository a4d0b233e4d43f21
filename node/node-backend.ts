import path from 'node:path';
import { isSwarmError } from '../protocols/errors.ts';
import type { VersionCid } from '../protocols/types.ts';
import type { InferenceBackend } from './backend/backend.ts';
import type { Isolation } from './backend/isolation.ts';
import { createOnnxBackend } from './backend/onnx-backend.ts';
import { PrepackedCache } from './backend/prepacked-cache.ts';
import type { DeviceProber } from './device/device-prober.ts';
import type { ResolvedNodeInit } from './node-init.ts';
import type { MemoryLedger } from './replica/memory-ledger.ts';
import type { VersionStore } from './store/version-store.ts';

export interface NodeBackendComponents {
  readonly isolation: Isolation;
  readonly devices: DeviceProber;
  readonly store: VersionStore;
  /** The node's, once it has one. */
  readonly ledger: () => MemoryLedger;
}

/** Resident bytes of a model's process that it shares with the others: the code of Node and the runtime. Measured: 78 MiB. */
const RUNTIME_BYTES = 96 * 1024 * 1024;

/** ONNX Runtime, as a node's settings bound it and on the devices that were seen to work. */
export function onnxBackendOf(
  init: ResolvedNodeInit,
  { isolation, devices, store, ledger }: NodeBackendComponents,
): InferenceBackend {
  return createOnnxBackend({
    workDir: path.join(init.dataDir, 'run'),
    threads: Math.min(init.threads, init.maxCores),
    loopLimitMs: init.loopLimitMs,
    isolation,
    prepackedCache: new PrepackedCache({
      folder: store.derivedFolder,
      hasRoom: async (bytes) => bytes <= (await store.freeBytes()),
      reserve: (cid, bytes) => reserveIdle(ledger(), cid, bytes),
      logger: init.logger,
    }),
    maxMemoryBytes: init.maxMemoryBytes + RUNTIME_BYTES,
    providers: (options) => devices.providers(options),
    needsHostFiles: (provider) => devices.needsHostFiles(provider),
  });
}

/** Memory that nobody has to leave for; undefined when there is none. */
async function reserveIdle(
  ledger: MemoryLedger,
  cid: VersionCid,
  bytes: number,
): Promise<(() => void) | undefined> {
  try {
    const lease = await ledger.reserve(cid, [{ pool: 'host', bytes }], { evict: false });
    return () => lease.release();
  } catch (error) {
    if (isSwarmError(error)) return undefined;
    throw error;
  }
}
