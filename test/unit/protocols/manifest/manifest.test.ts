import { describe, expect, it } from 'vitest';
import {
  decodeManifest,
  encodeManifest,
  type Manifest,
  manifestBytes,
  manifestCid,
} from '../../../../protocols/manifest/index.ts';
import type { VersionCid } from '../../../../protocols/types.ts';
import { toHex } from '../../../support/hex.ts';
import { present } from '../../../support/present.ts';
import { refusal } from '../../../support/refusal.ts';
import {
  manifestVectors,
  SMALL_MANIFEST_CID,
  smallManifest,
  smallManifestBlock,
} from '../../../vectors/manifest.ts';

const [smallFile] = smallManifest.files;

describe('decodeManifest', () => {
  it.each(manifestVectors.filter(({ refused }) => refused === undefined))(
    "takes the manifest '$name'",
    ({ bytes, manifest }) => {
      expect(decodeManifest(bytes)).toEqual(manifest);
    },
  );

  it.each(manifestVectors.filter(({ refused }) => refused !== undefined))(
    "refuses the manifest '$name'",
    ({ bytes, refused, message }) => {
      expect(() => decodeManifest(bytes)).toThrow(refusal(present(refused), present(message)));
    },
  );

  it('refuses a manifest at every cut of its bytes', () => {
    for (let length = 0; length < smallManifestBlock.byteLength; length += 1) {
      expect(() => decodeManifest(smallManifestBlock.subarray(0, length))).toThrow(
        refusal('ERR_INVALID_RECORD', /^manifest /),
      );
    }
  });

  it('refuses bytes of another hash than the CID that was asked for', () => {
    expect(decodeManifest(smallManifestBlock, SMALL_MANIFEST_CID)).toEqual(smallManifest);
    const other = encodeManifest({ ...smallManifest, metadata: { task: 'other' } });
    expect(() => decodeManifest(other.bytes, SMALL_MANIFEST_CID)).toThrow(
      refusal(
        'ERR_INVALID_RECORD',
        `manifest hashes to ${other.cid}, expected ${SMALL_MANIFEST_CID}`,
      ),
    );
  });
});

describe('encodeManifest', () => {
  it('gives the same bytes and CID as in every earlier version of this program', () => {
    const { bytes, cid } = encodeManifest(smallManifest);
    expect(toHex(bytes)).toBe(toHex(smallManifestBlock));
    expect(cid).toBe(SMALL_MANIFEST_CID);
    expect(manifestCid(smallManifestBlock)).toBe(SMALL_MANIFEST_CID);
  });

  it('gives equal manifests equal bytes: files sorted, what is undefined or unknown left out', () => {
    const files = [{ ...present(smallFile), path: 'a.bin' }, ...smallManifest.files];
    const later = { ...smallManifest, files: files.toReversed(), answer: undefined, later: 1 };
    const sorted: Manifest = { ...smallManifest, files };
    expect(encodeManifest(later).cid).toBe(encodeManifest(sorted).cid);
    expect(decodeManifest(encodeManifest(later).bytes)).toEqual(sorted);
  });

  it('refuses what it would not decode, naming the field', () => {
    expect(() => encodeManifest({ ...smallManifest, entry: 'other' })).toThrow(
      refusal('ERR_INVALID_RECORD', 'manifest field entry: is not one of the files'),
    );
    const files = [{ ...present(smallFile), chunks: 'x' as never }];
    expect(() => encodeManifest({ ...smallManifest, files })).toThrow(
      'manifest field files[0].chunks: expected a link',
    );
  });

  it('takes 1024 files and refuses one more', () => {
    const files = Array.from({ length: 1024 }, (_, index) => ({
      ...present(smallFile),
      path: index === 0 ? 'm.onnx' : `${index}`,
    }));
    expect(decodeManifest(encodeManifest({ ...smallManifest, files }).bytes).files).toHaveLength(
      1024,
    );
    const more = [...files, { ...present(smallFile), path: 'one-more' }];
    expect(() => encodeManifest({ ...smallManifest, files: more })).toThrow('field files: ');
  });

  it('takes a block of exactly 1 MiB and refuses one byte more', () => {
    const labelled = (bytes: number): Manifest => {
      const label = 'x'.repeat(250);
      const classLabels = Array.from({ length: Math.floor(bytes / 252) - 4 }, () => label);
      const rest = bytes - encodeManifest({ ...smallManifest, classLabels }).bytes.byteLength;
      // A description is two heads and its text: the key's 12 bytes, the length's 3.
      return {
        ...smallManifest,
        classLabels,
        metadata: { description: 'x'.repeat(rest - 15) },
      };
    };
    expect(encodeManifest(labelled(1024 * 1024)).bytes).toHaveLength(1024 * 1024);
    expect(() => encodeManifest(labelled(1024 * 1024 + 1))).toThrow(
      refusal('ERR_LIMIT', 'manifest has 1048577 bytes, expected at most 1048576'),
    );
  });
});

describe('manifestBytes', () => {
  it('adds up the files', () => {
    const files = [...smallManifest.files, { ...present(smallFile), path: 'w', size: 40 }];
    expect(manifestBytes({ ...smallManifest, files })).toBe(43);
  });
});

describe('manifestCid', () => {
  it('is another for any other byte', () => {
    const cids = new Set<VersionCid>();
    for (let index = 0; index < smallManifestBlock.byteLength; index += 1) {
      const changed = smallManifestBlock.slice();
      changed[index] = (changed[index] ?? 0) ^ 1;
      cids.add(manifestCid(changed));
    }
    expect(cids.size).toBe(smallManifestBlock.byteLength);
    expect(cids).not.toContain(SMALL_MANIFEST_CID);
  });
});
