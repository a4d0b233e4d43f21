import type { Manifest, ManifestFile } from '../../protocols/manifest/index.ts';

/** How one part of a version differs from that of another. */
export type ManifestChange = {
  /** Which part, in the manifest's own words: `files.model.onnx`, `inputs.x.shape`, `deployment.minReplicas`. */
  readonly field: string;
} & (
  | { readonly kind: 'added'; readonly to: string }
  | { readonly kind: 'removed'; readonly from: string }
  | { readonly kind: 'changed'; readonly from: string; readonly to: string }
);

/** Values in the order in which they are told. */
type Facts = ReadonlyMap<string, string>;

/** Characters of one value that are told: metadata may hold a page, class labels a thousand names. */
const MAX_VALUE_CHARACTERS = 200;

/** Characters told before the first difference of two long values. */
const SHOWN_BEFORE_DIFFERENCE = 20;

/**
 * What differs between two versions: files by name, size and digest, inputs and outputs by name, everything else field by
 * field. Empty when they are the same version.
 */
export function diffManifests(from: Manifest, to: Manifest): readonly ManifestChange[] {
  const before = factsOf(from);
  const after = factsOf(to);
  const fields = [...new Set([...before.keys(), ...after.keys()])];
  return fields.flatMap((field) => {
    const change = compare(field, before.get(field), after.get(field));
    return change === undefined ? [] : [change];
  });
}

function compare(
  field: string,
  from: string | undefined,
  to: string | undefined,
): ManifestChange | undefined {
  if (from === to) return undefined;
  if (from === undefined) return { field, kind: 'added', to: short(to ?? '') };
  if (to === undefined) return { field, kind: 'removed', from: short(from) };
  const start = firstDifference(from, to);
  return { field, kind: 'changed', from: short(from, start), to: short(to, start) };
}

/** A manifest as names and values: whatever a later manifest adds is told too. */
function factsOf(manifest: Manifest): Facts {
  const facts = new Map<string, string>();
  const { files, inputs, outputs, ...rest } = manifest;
  for (const file of files) facts.set(`files.${file.path}`, describeFile(file));
  for (const [role, tensors] of Object.entries({ inputs, outputs })) {
    tensors.forEach(({ name, ...spec }, index) => {
      collect(`${role}.${name}`, { position: index, ...spec }, facts);
    });
  }
  for (const [field, value] of Object.entries(rest)) collect(field, value, facts);
  return facts;
}

function describeFile({ size, sha256 }: ManifestFile): string {
  return `${size} bytes, sha256 ${Buffer.from(sha256).toString('hex')}`;
}

/** Walks objects; lists and all else are one value. */
function collect(field: string, value: unknown, facts: Map<string, string>): void {
  if (value === undefined) return;
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
    if (value instanceof Uint8Array) facts.set(field, Buffer.from(value).toString('hex'));
    else for (const [key, item] of Object.entries(value)) collect(`${field}.${key}`, item, facts);
    return;
  }
  facts.set(field, typeof value === 'string' ? value : JSON.stringify(value));
}

/** A value, cut where it is long: to its beginning, or to what stands around the first difference. */
function short(text: string, difference = 0): string {
  if (text.length <= MAX_VALUE_CHARACTERS) return text;
  const start = Math.max(0, difference - SHOWN_BEFORE_DIFFERENCE);
  const cut = text.slice(start, start + MAX_VALUE_CHARACTERS);
  return `${start > 0 ? '…' : ''}${cut}${start + cut.length < text.length ? '…' : ''}`;
}

function firstDifference(a: string, b: string): number {
  let index = 0;
  while (index < a.length && a[index] === b[index]) index += 1;
  return index;
}
