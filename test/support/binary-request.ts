import type { Datatype } from '../../protocols/datatype.ts';

/** A request over HTTP that gives a model's input `x` as bytes behind the JSON, and asks for its answer in the same form. */
export function binaryRequest({
  datatype,
  shape,
  bytes,
}: {
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}): { readonly body: Uint8Array<ArrayBuffer>; readonly headers: Readonly<Record<string, string>> } {
  const parameters = { binary_data_size: bytes.byteLength };
  const json = Buffer.from(
    JSON.stringify({
      inputs: [{ name: 'x', datatype, shape, parameters }],
      parameters: { binary_data_output: true },
    }),
  );
  return {
    body: new Uint8Array(Buffer.concat([json, bytes])),
    headers: { 'inference-header-content-length': String(json.byteLength) },
  };
}
