import type { OutcomeDigest } from '../../protocols/outcome/index.ts';
import type { ReleaseChannel } from '../../protocols/release/index.ts';
import type { NodeId, PublisherId, VersionCid } from '../../protocols/types.ts';

export const publisher = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN' as PublisherId;

export const older = 'older' as VersionCid;
export const newer = 'newer' as VersionCid;

/** A record whose `stable` is guarded, unless told otherwise. */
export function guardedRelease(
  sequence: number,
  channels: Readonly<Record<string, ReleaseChannel>> = {
    stable: { cid: newer, previous: older, guard: { minSamples: 20, minReporters: 2 } },
  },
) {
  return { publisher, name: 'digits', sequence, channels };
}

/** What a reporter counted of {@link newer} under a release. */
export function digestOf(
  reporter: string,
  release: number,
  counts: { readonly sequence?: number; readonly failed?: number; readonly answered?: number },
): OutcomeDigest {
  const { sequence = 1, failed = 0, answered = 0 } = counts;
  return {
    reporter: reporter as NodeId,
    publisher,
    name: 'digits',
    release,
    sequence,
    issuedAtMs: 0,
    windowMs: 60_000,
    versions: [{ cid: newer, execution: failed, timeout: 0, latencies: [0, 0, 0, answered] }],
  };
}
