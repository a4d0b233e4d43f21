import { sha256 } from '../../protocols/digest.ts';

/** What the table is made from. Another seed would be another table, and cut every file in other places. */
const SEED = 'gpu-swarm:gear:1';

/**
 * One random 32-bit number per byte value, for the gear hash: word `i mod 8`, little-endian, of
 * `sha256("gpu-swarm:gear:1:" + floor(i / 8))`. Computed, so that nobody has to trust 256 literals.
 *
 * @see Xia et al., Ddelta: A Deduplication-Inspired Fast Delta Compression Approach, 2014, section 3
 */
export const GEAR: Int32Array = gearTable();

function gearTable(): Int32Array {
  const table = new Int32Array(256);
  for (let block = 0; block < 32; block += 1) {
    const digest = Buffer.from(sha256(Buffer.from(`${SEED}:${block}`)));
    for (let word = 0; word < 8; word += 1) table[block * 8 + word] = digest.readInt32LE(word * 4);
  }
  return table;
}
