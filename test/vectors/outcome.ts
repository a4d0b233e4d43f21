import * as dagCbor from '@ipld/dag-cbor';
import { CID } from 'multiformats/cid';

const CID_TEXT = 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';

/** A payload that is taken, as docs/protocols/outcome.md describes it. */
export const outcomePayload = {
  publisher: '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN',
  name: 'digits',
  release: 7,
  sequence: 1_764_000_000_000,
  issuedAtMs: 1_764_000_000_000,
  windowMs: 60_000,
  versions: [{ cid: CID.parse(CID_TEXT), execution: 3, timeout: 1, latencies: [0, 5, 9] }],
};

const [version] = outcomePayload.versions;

/** Payloads that are refused once their signature is found good, by their defect, and the field that the refusal names. */
export const brokenOutcomes: readonly {
  readonly name: string;
  readonly payload: Uint8Array;
  readonly names: RegExp;
}[] = [
  { name: 'not-dag-cbor', payload: Uint8Array.of(0xff), names: /not dag-cbor/ },
  broken('no-map', [], /expected object/i),
  broken('no-publisher', { publisher: undefined }, /publisher/),
  broken('publisher-that-is-no-peer-id', { publisher: '0'.repeat(52) }, /publisher/),
  broken('malformed-name', { name: 'Digits' }, /name/),
  broken('release-0', { release: 0 }, /release/),
  broken('release-beyond-a-safe-integer', { release: 2n ** 60n }, /release/),
  broken('sequence-0', { sequence: 0 }, /sequence/),
  broken('window-of-0', { windowMs: 0 }, /windowMs/),
  broken('window-over-a-day', { windowMs: 86_400_001 }, /windowMs/),
  broken('five-versions', { versions: Array.from({ length: 5 }, () => version) }, /versions/),
  broken('one-version-twice', { versions: [version, version] }, /each version once/),
  broken('cid-as-text', { versions: [{ ...version, cid: CID_TEXT }] }, /cid/),
  broken('negative-count', { versions: [{ ...version, execution: -1 }] }, /execution/),
  broken('fractional-count', { versions: [{ ...version, timeout: 0.5 }] }, /timeout/),
  broken('count-over-32-bits', { versions: [{ ...version, latencies: [2 ** 32] }] }, /latencies/),
  broken(
    '41-buckets',
    { versions: [{ ...version, latencies: Array.from({ length: 41 }, () => 0) }] },
    /latencies/,
  ),
];

function broken(name: string, change: object, names: RegExp) {
  const changed: Record<string, unknown> = { ...outcomePayload, ...change };
  for (const [field, value] of Object.entries(changed)) {
    if (value === undefined) delete changed[field];
  }
  const payload = dagCbor.encode(Array.isArray(change) ? change : changed);
  return { name, payload: new Uint8Array(payload), names };
}
