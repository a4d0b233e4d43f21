/**
 * A process to be killed: opens the store in the folder of its first argument and writes without end, a line for every
 * step that is about to be taken and for every one that the store acknowledged.
 */
import { VersionStore } from '../../node/store/version-store.ts';
import type { PublisherId } from '../../protocols/types.ts';
import { blockOf } from './version-fixture.ts';
import { beginVersion } from './version-writer.ts';
import { createWrittenVersion } from './written-version.ts';

const [folder = '', first = '0'] = process.argv.slice(2);
// The parent kills in answer to a line: each must leave at once.
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const store = await VersionStore.open(folder);
for (let round = Number(first); ; round += 1) {
  const version = createWrittenVersion(round);
  const { cid } = version;
  await store.want({ publisher: 'p' as PublisherId, name: `m${round}`, cid, release: null });
  say(`wanted ${round}`);
  const sink = await beginVersion(store, version);
  for (const place of await sink.missing(version.lists)) {
    await sink.write(place, blockOf(version, place.digest));
    say(`wrote ${round}`);
  }
  say(`finishing ${round}`);
  await sink.finish();
  await sink.close();
  say(`finished ${round}`);
  if (round % 3 === 0) {
    say(`removing ${round}`);
    await store.remove(cid);
    say(`removed ${round}`);
  }
}
