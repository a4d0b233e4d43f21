import { atLeast, atMost, type Target } from '../report.ts';
import { TENSOR_BYTES } from './model.ts';
import { BITSWAP, LIMIT, OURS } from './movers.ts';
import { MIB, type TransferRow } from './row.ts';

/** Bytes a second that the crowd's seeder sends at most. */
export const UPLOAD_BYTES = 8 * MIB;

export const CROWD_NODES = 8;

export const TOGETHER = '8 nodes at once';
/** Eight of them share the seeder's upload: they have this rate together. */
export const ALONE = 'one node alone';
export const ONE_TENSOR = 'one tensor changed';
export const SHIFTED = '100 bytes before the weights';

/** The goals of distribution, as far as the rows tell. */
export function transferTargets(rows: readonly TransferRow[]): Target[] {
  const row = (variant: string): TransferRow | undefined =>
    rows.find((one) => one.variant === variant);
  return [
    ...oneSourceTargets(row(OURS), row(LIMIT), row(BITSWAP)),
    ...crowdTargets(row(TOGETHER), row(ALONE)),
    ...dedupTargets(row(ONE_TENSOR), row(SHIFTED)),
  ];
}

function oneSourceTargets(
  ours: TransferRow | undefined,
  limit: TransferRow | undefined,
  bitswap: TransferRow | undefined,
): Target[] {
  const targets: Target[] = [];
  if (ours === undefined) return targets;
  if (limit !== undefined) {
    const ratio = ours.mibPerSecond / limit.mibPerSecond;
    targets.push(atLeast('one source: MiB/s / tls socket', ratio, 0.5));
  }
  if (bitswap !== undefined) {
    const ratio = ours.mibPerSecond / bitswap.mibPerSecond;
    targets.push(atLeast('one source: MiB/s / bitswap', ratio, 5));
  }
  return targets;
}

function crowdTargets(together: TransferRow | undefined, alone: TransferRow | undefined): Target[] {
  const targets: Target[] = [];
  if (together === undefined) return targets;
  // The seeder has to send each byte once.
  const idealSeconds = together.wantedBytes / CROWD_NODES / UPLOAD_BYTES;
  targets.push(atMost('flash crowd: time / ideal', together.seconds / idealSeconds, 1.5));
  if (alone !== undefined) {
    const ratio = together.mibPerSecond / alone.mibPerSecond;
    targets.push(atLeast('flash crowd: MiB/s / single-source downloads', ratio, 3));
  }
  return targets;
}

function dedupTargets(
  oneTensor: TransferRow | undefined,
  shifted: TransferRow | undefined,
): Target[] {
  const targets: Target[] = [];
  if (oneTensor !== undefined) {
    // The chunk at each end of the tensor is half its neighbour's: up to 2 MiB each way.
    const ratio = oneTensor.movedBytes / TENSOR_BYTES;
    targets.push(atMost('dedup: moved / changed tensor', ratio, 2));
    if (oneTensor.packedBytes !== null) {
      // The index, and files that are rounded to blocks of the disk, are in what is stored.
      const stored = oneTensor.packedBytes / oneTensor.movedBytes;
      targets.push(atMost('dedup: stored / moved, old version not in use', stored, 1.1));
    }
  }
  if (shifted !== undefined) {
    const ratio = shifted.movedBytes / shifted.wantedBytes;
    targets.push(atMost('dedup: moved / model, 100 bytes longer', ratio, 0.02));
  }
  return targets;
}
