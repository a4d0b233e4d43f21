/**
 * A process to be killed: opens the store in the folder of its first argument, and stores versions of one model, packs the
 * older ones, and unpacks them again, without end; a line for every step that is about to be taken.
 */
import { VersionStore } from '../../node/store/version-store.ts';
import type { VersionCid } from '../../protocols/types.ts';
import { writeVersion } from './version-writer.ts';
import { createRevision } from './written-version.ts';

const [folder = '', first = '0'] = process.argv.slice(2);
// The parent kills in answer to a line: each must leave at once.
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

let used: VersionCid | undefined;
const store = await VersionStore.open(folder, {
  knowledge: {
    inUse: (cid) => cid === used,
    released: async () => true,
    current: async () => false,
    otherHolders: async () => 0,
  },
});
for (let round = Number(first); ; round += 1) {
  const version = createRevision(round);
  const { cid } = version;
  if ((await store.manifest(cid)) === undefined) {
    await writeVersion(store, version);
  }
  used = cid;
  say(`finished ${round}`);
  const packing = store.packing.pack({ idleMs: 0 });
  say(`packing ${round}`);
  for await (const { savedBytes } of packing) say(`packed ${savedBytes}`);
  say(`unpacking ${round}`);
  if (round > 0) await store.get(createRevision(round - 1).cid);
  say(`unpacked ${round}`);
}
