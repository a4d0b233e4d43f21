import { describe, expect, it } from 'vitest';
import { HeaderMemory } from '../../../../protocols/inference/header-memory.ts';
import {
  decodeRequest,
  encodeRequest,
  type RequestHeader,
} from '../../../../protocols/inference/message.ts';
import type { TensorDescriptor, VersionCid } from '../../../../protocols/types.ts';

const x: TensorDescriptor = { name: 'x', datatype: 'FP32', shape: [1, 4], byteLength: 16 };

function header(parts: Partial<RequestHeader> = {}): RequestHeader {
  return {
    version: 'bafyone' as VersionCid,
    deadlineMs: 1_000,
    priority: 0,
    traceparent: '',
    outputs: [],
    responseCredit: 7,
    inputs: [x],
    ...parts,
  };
}

const read = (memory: HeaderMemory, sent: RequestHeader): RequestHeader =>
  decodeRequest(encodeRequest(sent), memory).header;

describe('HeaderMemory', () => {
  it('gives for the same bytes what it gave before, and reads what differs', () => {
    const memory = new HeaderMemory();
    const headers = [
      header(),
      header({ deadlineMs: 5, traceparent: '00-trace' }),
      header({ version: 'bafytwo' as VersionCid }),
      header({ version: 'bafyoneandmore' as VersionCid }),
      header({ inputs: [{ ...x, shape: [4, 1] }] }),
      header({ inputs: [x, { ...x, name: 'y' }] }),
      header({ inputs: [] }),
      header(),
    ];
    for (const sent of [...headers, ...headers]) expect(read(memory, sent)).toEqual(sent);
    const [first, second] = [read(memory, header()), read(memory, header({ priority: 9 }))];
    expect(second.inputs).toBe(first.inputs);
  });

  it('shares nothing that a reader of one header could change for the next', () => {
    const memory = new HeaderMemory();
    const { inputs } = read(memory, header());
    expect([inputs, ...inputs, inputs[0]?.shape].every(Object.isFrozen)).toBe(true);
  });

  it('keeps its own copy of the bytes, whose memory the sender may use again', () => {
    const memory = new HeaderMemory();
    const bytes = encodeRequest(header());
    decodeRequest(bytes, memory);
    bytes.fill(0);
    const other = header({ version: 'bafyxxx' as VersionCid, inputs: [{ ...x, name: 'z' }] });
    expect(read(memory, other)).toEqual(other);
    expect(read(memory, header())).toEqual(header());
  });

  it('remembers no descriptors of more than a kibibyte, and still reads them', () => {
    const memory = new HeaderMemory();
    const long = header({ inputs: [{ ...x, name: 'n'.repeat(2_000) }] });
    const [first, second] = [read(memory, long), read(memory, long)];
    expect(second).toEqual(long);
    expect(second.inputs).not.toBe(first.inputs);
  });

  it('takes nothing for known that only begins as the last one did', () => {
    const memory = new HeaderMemory();
    read(memory, header());
    const cut = encodeRequest(header());
    expect(() => decodeRequest(cut.subarray(0, cut.byteLength - 4), memory)).toThrow(/ends inside/);
  });
});
