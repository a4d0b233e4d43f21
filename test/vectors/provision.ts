import * as dagCbor from '@ipld/dag-cbor';

/** A hook's key by docs/protocols/provision.md, in hexadecimal digits. */
export const hookKeyVector = {
  network: 'main',
  hook: 'https://example.org/nodes',
  group: '344c6e6cfacd99096512580fd3d6c66bcceb01479688ab8e025792c2fdfe254b',
  secret: '6e2ad6a98acc1086c846dbc6e7d699b2d727c51166e5b7e2ff572d7d7f2a7544',
};

/** A heartbeat's payload that is taken; its tag is by that key, for the reporter of the seed 7, 7, 7, … */
export const provisionPayload = {
  sequence: 1_764_000_000_000,
  group: new Uint8Array(Buffer.from(hookKeyVector.group, 'hex')),
  leaving: false,
  tag: new Uint8Array(
    Buffer.from('c33a338190319f37fcbd0602d08bb8b3aecac23f0638051f449f7e3116ce0a46', 'hex'),
  ),
};

/** Payloads that are refused once their signature is found good, by their defect, and the field that the refusal names. */
export const brokenProvisions: readonly {
  readonly name: string;
  readonly payload: Uint8Array;
  readonly names: RegExp;
}[] = [
  { name: 'not-dag-cbor', payload: Uint8Array.of(0xff), names: /not dag-cbor/ },
  { name: 'no-map', payload: encoded([]), names: /expected object/i },
  broken('sequence-0', { sequence: 0 }, /sequence/),
  broken('group-of-31-bytes', { group: new Uint8Array(31) }, /group/),
  broken('group-of-33-bytes', { group: new Uint8Array(33) }, /group/),
  broken('group-as-text', { group: 'group' }, /group/),
  broken('leaving-as-number', { leaving: 0 }, /leaving/),
  broken('tag-of-31-bytes', { tag: new Uint8Array(31) }, /tag/),
  ...Object.keys(provisionPayload).map((field) => ({
    name: `no-${field}`,
    payload: encoded(
      Object.fromEntries(Object.entries(provisionPayload).filter(([name]) => name !== field)),
    ),
    names: new RegExp(field),
  })),
];

function broken(name: string, change: object, names: RegExp) {
  return { name, payload: encoded({ ...provisionPayload, ...change }), names };
}

function encoded(value: unknown): Uint8Array {
  return new Uint8Array(dagCbor.encode(value));
}
