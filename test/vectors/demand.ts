import * as dagCbor from '@ipld/dag-cbor';
import { CID } from 'multiformats/cid';

const CID_TEXT = 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';

/** A digest's payload that is taken, as docs/protocols/demand.md describes it. */
export const demandPayload = {
  role: 'node',
  sequence: 1_764_000_000_000,
  stableWindowMs: 60_000,
  panicWindowMs: 6_000,
  intervalMs: 2_000,
  versions: [
    {
      cid: CID.parse(CID_TEXT),
      stable: [12_500, 0, 17],
      panic: [40_000, 2_500, 0],
      inFlight: 3_250,
      waitMs: 18,
      serviceUs: 22_750 as number | null,
    },
  ],
};

/** A notice's payload that is taken. */
export const recruitPayload = {
  publisher: '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN',
  name: 'digits',
  cid: CID.parse(CID_TEXT),
  sequence: 1_764_000_000_000,
  desired: 5,
  have: 2,
  deficit: 3,
  memoryBytes: 8_589_934_592,
  providers: ['cuda', 'webgpu'],
};

interface BrokenPayload {
  readonly name: string;
  readonly payload: Uint8Array;
  readonly names: RegExp;
}

const [version] = demandPayload.versions;
const digest = brokenOf(demandPayload);
const notice = brokenOf(recruitPayload);

/** Payloads that are refused once their signature is found good, by their defect, and the field that the refusal names. */
export const brokenDemands: readonly BrokenPayload[] = [
  { name: 'not-dag-cbor', payload: Uint8Array.of(0xff), names: /not dag-cbor/ },
  digest('no-map', [], /expected object/i),
  digest('no-role', { role: undefined }, /role/),
  digest('role-of-another-kind', { role: 'gateway' }, /role/),
  digest('sequence-0', { sequence: 0 }, /sequence/),
  digest('window-of-0', { stableWindowMs: 0 }, /stableWindowMs/),
  digest('window-over-an-hour', { panicWindowMs: 3_600_001 }, /panicWindowMs/),
  digest('interval-of-0', { intervalMs: 0 }, /intervalMs/),
  digest('13-versions', { versions: Array.from({ length: 13 }, () => version) }, /versions/),
  digest('one-version-twice', { versions: [version, version] }, /each version once/),
  digest('cid-as-text', { versions: [{ ...version, cid: CID_TEXT }] }, /cid/),
  digest('two-rates', { versions: [{ ...version, stable: [1, 2] }] }, /stable/),
  digest('negative-rate', { versions: [{ ...version, panic: [-1, 0, 0] }] }, /panic/),
  digest('fractional-rate', { versions: [{ ...version, stable: [0.5, 0, 0] }] }, /stable/),
  digest(
    'over-a-million-a-second',
    { versions: [{ ...version, panic: [0, 1e9 + 1, 0] }] },
    /panic/,
  ),
  digest('negative-wait', { versions: [{ ...version, waitMs: -1 }] }, /waitMs/),
  digest('no-service-time', { versions: [{ ...version, serviceUs: undefined }] }, /serviceUs/),
];

/** The same of notices. */
export const brokenRecruits: readonly BrokenPayload[] = [
  { name: 'not-dag-cbor', payload: Uint8Array.of(0xff), names: /not dag-cbor/ },
  notice('no-map', [], /expected object/i),
  notice('no-publisher', { publisher: undefined }, /publisher/),
  notice('publisher-that-is-no-peer-id', { publisher: '0'.repeat(52) }, /publisher/),
  notice('malformed-name', { name: 'Digits' }, /name/),
  notice('cid-as-text', { cid: CID_TEXT }, /cid/),
  notice('sequence-0', { sequence: 0 }, /sequence/),
  notice('deficit-0', { deficit: 0 }, /deficit/),
  notice('10001-replicas', { desired: 10_001 }, /desired/),
  notice('negative-memory', { memoryBytes: -1 }, /memoryBytes/),
  notice('no-providers-in-list', { providers: [] }, /providers/),
  notice('malformed-provider', { providers: ['CUDA'] }, /providers/),
];

function brokenOf(good: object) {
  return (name: string, change: object, names: RegExp): BrokenPayload => {
    const changed: Record<string, unknown> = { ...good, ...change };
    const wire = Array.isArray(change) ? change : withoutUndefined(changed);
    return { name, payload: new Uint8Array(dagCbor.encode(wire)), names };
  };
}

/** A field set to undefined is one that is missing, in lists too. */
function withoutUndefined(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUndefined);
  if (value === null || typeof value !== 'object' || CID.asCID(value) !== null) return value;
  const kept = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(kept.map(([name, field]) => [name, withoutUndefined(field)]));
}
