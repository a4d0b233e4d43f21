import path from 'node:path';
import { BoundedMap } from '../../protocols/bounded-map.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { speedKey } from '../device/probe-cache.ts';
import type { ResolvedNodeInit } from '../node-init.ts';
import { BatchFindings } from '../scheduler/batch-findings.ts';
import { DeadlyInputs } from '../scheduler/deadly-inputs.ts';

/** Versions whose deadly inputs are remembered; the one that was loaded longest ago makes room. */
const MAX_VERSIONS = 256;

/** What this node has learned of versions by running them, and must not learn anew whenever one is loaded again. */
export class VersionExperience {
  readonly batches: BatchFindings;
  readonly #deadly = new BoundedMap<VersionCid, DeadlyInputs>(MAX_VERSIONS);

  /** With what an earlier process of this node has found out. */
  static async open(
    dataDir: string,
    { threads, maxCores, logger }: Pick<ResolvedNodeInit, 'threads' | 'maxCores' | 'logger'>,
  ): Promise<VersionExperience> {
    const file = path.join(dataDir, 'batches.json');
    const runtime = await speedKey({ threads, maxCores });
    return new VersionExperience(await BatchFindings.open({ file, runtime, logger }));
  }

  /** @param batches @default those found out by this process alone */
  constructor(batches: BatchFindings = new BatchFindings()) {
    this.batches = batches;
  }

  /** Inputs that ended the version's process since this node started, for its queue to add to. */
  deadlyInputs(cid: VersionCid): DeadlyInputs {
    const deadly = this.#deadly.get(cid) ?? new DeadlyInputs();
    this.#deadly.set(cid, deadly);
    return deadly;
  }
}
