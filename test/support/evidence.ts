import type { NodeId, OwnerId, PublisherId, VersionCid } from '../../protocols/types.ts';
import type { Evidence, Testimony } from '../../src/client/evidence.ts';
import type { Charge } from '../../src/policy/distrust.ts';

/** When {@link makeEvidence} was found, unless it is told otherwise. */
export const EVIDENCE_AT_MS = 1_764_000_000_000;

/** Evidence in its form, by which nothing is signed, against a node that is its own owner. */
export function makeEvidence(charge: Charge, node: string, afterMs = 0): Evidence {
  return {
    charge,
    atMs: EVIDENCE_AT_MS + afterMs,
    inputDigest: 'ab'.repeat(32),
    ...{ name: 'digits', difference: 'output is other', tensors: null },
    publisher: 'publisher' as PublisherId,
    version: 'version' as VersionCid,
    tolerance: { absolute: 0, relative: 0 },
    accused: testimony(node),
    witnesses: [testimony('w1'), testimony('w2')],
  };
}

function testimony(id: string): Testimony {
  return {
    node: id as NodeId,
    owner: id as unknown as OwnerId,
    ownerCertificate: new Uint8Array(),
    receipt: new Uint8Array(),
  };
}
