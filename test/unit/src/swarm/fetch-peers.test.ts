import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { digestText, sha256 } from '../../../../protocols/digest.ts';
import {
  BusyError,
  ConnectionError,
  CorruptError,
  NotFoundError,
} from '../../../../protocols/errors.ts';
import { type Holdings, setBit, WHOLE } from '../../../../protocols/transfer/index.ts';
import type { AbortOptions } from '../../../../protocols/types.ts';
import { DistrustedPeers } from '../../../../src/swarm/distrusted-peers.ts';
import {
  type BlockConnection,
  FetchPeers,
  type FetchPeersInit,
} from '../../../../src/swarm/fetch-peers.ts';
import type { BlockTask } from '../../../../src/swarm/fetch-queue.ts';
import { noise } from '../../../support/noise.ts';

const BLOCKS = Array.from({ length: 20 }, (_, seed) => noise(100, seed));
const BY_DIGEST = new Map(BLOCKS.map((block) => [digestText(sha256(block)), block]));

type Fetch = (digest: Uint8Array, options: AbortOptions) => Promise<Uint8Array>;

/** Gives every block. */
const honest: Fetch = async (digest) => {
  const block = BY_DIGEST.get(digestText(digest));
  if (block === undefined) throw new NotFoundError('not here');
  return block;
};
const fails =
  (error: Error): Fetch =>
  async () => {
    throw error;
  };
/** Answers nothing until it is given up. */
const silent: Fetch = (_, { signal }) =>
  new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason));
  });

/** Peers by id; a function that throws is one that cannot be dialled. */
class Peers {
  readonly dials: string[] = [];
  readonly asked: string[] = [];
  readonly closed: string[] = [];
  /** What peers say they have, when not everything. */
  readonly holdings: Record<string, () => Holdings> = {};
  readonly #fetches: Readonly<Record<string, () => Fetch>>;

  constructor(fetches: Readonly<Record<string, () => Fetch>>) {
    this.#fetches = fetches;
  }

  readonly connect = async (id: string): Promise<BlockConnection> => {
    this.dials.push(id);
    const fetch = this.#fetches[id]?.();
    if (fetch === undefined) throw new ConnectionError(`${id} is not there`);
    return {
      fetch: (digest, _, options = {}) => {
        this.asked.push(id);
        return fetch(digest, options);
      },
      holdings: async () => this.holdings[id]?.() ?? WHOLE,
      close: async () => {
        this.closed.push(id);
      },
    };
  };

  open(init: Partial<FetchPeersInit> = {}): FetchPeers {
    return new FetchPeers({ peers: Object.keys(this.#fetches), connect: this.connect, ...init });
  }
}

/** Tasks that note what they were given. */
function createTasks(blocks: readonly Uint8Array[] = BLOCKS): {
  tasks: BlockTask[];
  got: Uint8Array[];
} {
  const got: Uint8Array[] = [];
  const tasks = blocks.map((block, chunk) => ({
    chunk,
    digest: sha256(block),
    maxBytes: block.byteLength,
    accept: async (bytes: Uint8Array) => {
      got.push(bytes);
    },
  }));
  return { tasks, got };
}

describe('FetchPeers', () => {
  it('fetches every block once from a peer, and ends its connection', async () => {
    const peers = new Peers({ a: () => honest });
    const fetch = peers.open();
    const { tasks, got } = createTasks();
    await fetch.fetchAll(tasks);
    expect(got.map((block) => digestText(block)).toSorted()).toEqual(
      BLOCKS.map((block) => digestText(block)).toSorted(),
    );
    await fetch.close();
    expect(peers.closed).toEqual(['a']);
  });

  it('dials nobody when nothing is wanted', async () => {
    const peers = new Peers({ a: () => honest });
    const fetch = peers.open();
    await fetch.fetchAll([]);
    expect(peers.dials).toEqual([]);
    await fetch.close();
  });

  it('dials no more than eight peers while they do', async () => {
    const ids = Array.from({ length: 12 }, (_, index) => `p${index}`);
    const held = Promise.withResolvers<Uint8Array>();
    const peers = new Peers(Object.fromEntries(ids.map((id) => [id, () => () => held.promise])));
    const fetch = peers.open();
    const { tasks } = createTasks();
    const done = fetch.fetchAll(tasks);
    await vi.waitFor(() => expect(peers.asked).toHaveLength(8));
    expect(peers.dials).toHaveLength(8);
    held.resolve(new Uint8Array());
    await done;
    await fetch.close();
  });

  it.each([
    ['lies', new CorruptError('hashes to something else')],
    ['breaks the protocol', new TypeError('what')],
  ])('drops a peer for good that %s, and goes on with the next', async (_, error) => {
    const peers = new Peers({ bad: () => fails(error), good: () => honest });
    const fetch = peers.open();
    const { tasks, got } = createTasks();
    await fetch.fetchAll(tasks);
    expect(got).toHaveLength(BLOCKS.length);
    expect([...fetch.dropped]).toEqual([['bad', error]]);
    expect(peers.dials).toEqual(['bad', 'good']);
    expect(peers.closed).toEqual(['bad']);
    await fetch.close();
  });

  it('goes on with the next peer when one cannot be dialled', async () => {
    const fetch = new Peers({ good: () => honest }).open({ peers: ['nowhere', 'good'] });
    const { tasks, got } = createTasks();
    await fetch.fetchAll(tasks);
    expect(got).toHaveLength(BLOCKS.length);
    expect(fetch.dropped.get('nowhere')).toMatchObject({ message: 'nowhere is not there' });
    await fetch.close();
  });

  it('dials a peer again whose connection broke, as long as it gives blocks in between', async () => {
    const broke = new ConnectionError('stream broke off');
    let left = 0;
    const peers = new Peers({
      a: () => {
        left = 3;
        return async (digest, options) => {
          left -= 1;
          if (left < 0) throw broke;
          return honest(digest, options);
        };
      },
    });
    const fetch = peers.open();
    const { tasks, got } = createTasks();
    await fetch.fetchAll(tasks);
    expect(got).toHaveLength(BLOCKS.length);
    expect(peers.dials).toHaveLength(Math.ceil(BLOCKS.length / 3));
    await fetch.close();
  });

  it('gives up with ERR_CONNECTION and the reasons when the last peer breaks off twice without a block', async () => {
    const peers = new Peers({ a: () => fails(new ConnectionError('stream broke off')) });
    const fetch = peers.open({ peers: ['nowhere', 'a'] });
    const { tasks } = createTasks();
    await expect(fetch.fetchAll(tasks)).rejects.toMatchObject({
      code: 'ERR_CONNECTION',
      details: { failures: ['nowhere: nowhere is not there', 'a: stream broke off'] },
    });
    expect(peers.dials).toEqual(['nowhere', 'a', 'a']);
    await fetch.close();
  });

  it('gives up with ERR_NOT_FOUND when there is no peer at all', async () => {
    const fetch = new Peers({}).open();
    await expect(fetch.fetchAll(createTasks().tasks)).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
      message: 'no peer is known to hold the version',
    });
    await fetch.close();
  });

  it('takes blocks from each peer that has them when none has all', async () => {
    const only =
      (first: number, last: number): Fetch =>
      async (digest, options) => {
        const index = BLOCKS.findIndex((block) => digestText(sha256(block)) === digestText(digest));
        if (index < first || index >= last) throw new NotFoundError('not here');
        return honest(digest, options);
      };
    const fetch = new Peers({ a: () => only(0, 12), b: () => only(8, 20) }).open();
    const { tasks, got } = createTasks();
    await fetch.fetchAll(tasks);
    expect(got).toHaveLength(BLOCKS.length);
    expect(fetch.dropped.size).toBe(0);
    await fetch.close();
  });

  it('keeps what its source of peers gave when that fails', async () => {
    const peers = async function* () {
      yield 'a';
      throw new Error('the DHT does not answer');
    };
    const fetch = new Peers({ a: () => honest }).open({ peers: peers() });
    const { tasks, got } = createTasks();
    await fetch.fetchAll(tasks);
    expect(got).toHaveLength(BLOCKS.length);
    await fetch.close();
  });

  it('fails with what an accept threw, also when eight peers wait for work', async () => {
    const ids = Array.from({ length: 10 }, (_, index) => `p${index}`);
    const peers = new Peers(Object.fromEntries(ids.map((id) => [id, () => honest])));
    const fetch = peers.open();
    const full = new Error('the disk is full');
    const { tasks } = createTasks();
    const refusing = tasks.map((task) => ({ ...task, accept: async () => Promise.reject(full) }));
    await expect(fetch.fetchAll(refusing)).rejects.toBe(full);
    // The event loop must still turn: waiting for a place among the peers must not spin.
    await new Promise(setImmediate);
    await fetch.close();
  });

  it('rejects with the reason of its signal, and gives up what it asked for', async () => {
    const controller = new AbortController();
    const peers = new Peers({ a: () => silent });
    const fetch = peers.open({ signal: controller.signal });
    const failed = fetch.fetchAll(createTasks().tasks).catch((error: unknown) => error);
    await vi.waitFor(() => expect(peers.asked).toEqual(['a']));
    controller.abort(new Error('given up'));
    expect(await failed).toMatchObject({ message: 'given up' });
    await expect(fetch.fetchAll(createTasks().tasks)).rejects.toThrow('given up');
    await fetch.close();
    expect(peers.closed).toEqual(['a']);
  });
});

describe('FetchPeers and peers that have a part', () => {
  const VERSION = sha256(new Uint8Array());

  it('asks a peer for what it says it has, and for nothing else', async () => {
    const peers = new Peers({ whole: () => honest, part: () => honest });
    const part = { whole: false, count: 20, has: new Uint8Array(3), coming: new Uint8Array(3) };
    for (const chunk of [3, 11]) setBit(part.has, chunk);
    peers.holdings['part'] = () => part;
    const asked = new Set<number>();
    const fetch = peers.open({
      version: VERSION,
      // Not before it is known what the part has: until then everybody may have everything.
      connect: async (id) => {
        const connection = await peers.connect(id);
        return {
          ...connection,
          fetch: async (digest, maxBytes, options) => {
            await new Promise(setImmediate);
            const index = BLOCKS.findIndex(
              (block) => digestText(sha256(block)) === digestText(digest),
            );
            if (id === 'part') asked.add(index);
            return connection.fetch(digest, maxBytes, options);
          },
        };
      },
    });
    const { tasks, got } = createTasks();
    await fetch.fetchAll(tasks);
    expect(got).toHaveLength(BLOCKS.length);
    // One may have been asked for before the first word of what it has.
    expect([...asked].filter((index) => index !== 3 && index !== 11).length).toBeLessThan(2);
    await fetch.close();
  });

  it('asks a latecomer that was not known when the fetch began', async () => {
    const known = ['early'];
    const peers = new Peers({
      early: () => fails(new NotFoundError('not yet')),
      late: () => honest,
    });
    const fetch = peers.open({ peers: ['early'], latecomers: () => known });
    const { tasks, got } = createTasks();
    const done = fetch.fetchAll(tasks);
    await vi.waitFor(() => expect(peers.asked).toContain('early'));
    known.push('late');
    await done;
    expect(got).toHaveLength(BLOCKS.length);
    expect(peers.dials).toEqual(['early', 'late']);
    await fetch.close();
  });

  it('asks for another block where the one it wants was just given to somebody else', async () => {
    let refused = 0;
    const sparing: Fetch = async (digest, options) => {
      refused += 1;
      if (refused <= 3) throw new BusyError('just given to another peer', 2_000);
      return honest(digest, options);
    };
    const fetch = new Peers({ a: () => sparing }).open();
    const { tasks, got } = createTasks();
    await fetch.fetchAll(tasks);
    expect(got).toHaveLength(BLOCKS.length);
    expect(fetch.dropped.size).toBe(0);
    await fetch.close();
  });

  it('does not dial a peer again in the next fetch that lied in an earlier one', async () => {
    const distrusted = new DistrustedPeers();
    const lies = fails(new CorruptError('hashes to something else'));
    for (const dials of [['liar', 'good'], ['good']]) {
      const peers = new Peers({ liar: () => lies, good: () => honest });
      const fetch = peers.open({ distrusted });
      const { tasks, got } = createTasks();
      await fetch.fetchAll(tasks);
      expect(got).toHaveLength(BLOCKS.length);
      expect(peers.dials).toEqual(dials);
      expect(fetch.dropped.get('liar')).toMatchObject({
        message: expect.stringContaining('hashes to something else'),
      });
      await fetch.close();
    }
  });
});

describe('FetchPeers over time', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('asks another peer for what the first has not given for a second', async () => {
    const peers = new Peers({ silent: () => silent, good: () => honest });
    const fetch = peers.open();
    const { tasks, got } = createTasks(BLOCKS.slice(0, 1));
    const done = fetch.fetchAll(tasks);
    await vi.advanceTimersByTimeAsync(1_250);
    await done;
    expect(got).toHaveLength(1);
    expect(peers.asked).toEqual(['silent', 'good']);
    await fetch.close();
  });

  it('asks again for what a peer does not have yet', async () => {
    let calls = 0;
    const later: Fetch = async (digest, options) => {
      calls += 1;
      if (calls < 5) throw new NotFoundError('not yet');
      return honest(digest, options);
    };
    const fetch = new Peers({ a: () => later }).open();
    const { tasks, got } = createTasks(BLOCKS.slice(0, 1));
    const done = fetch.fetchAll(tasks);
    await vi.advanceTimersByTimeAsync(1_250);
    await done;
    expect(got).toHaveLength(1);
    await fetch.close();
  });

  it('waits two minutes for a block that a peer has and gives to somebody else first, and no longer', async () => {
    const busy = fails(new BusyError('just given to another peer', 2_000));
    const fetch = new Peers({ a: () => busy }).open();
    const settled = vi.fn<(error: unknown) => void>();
    const failed = fetch.fetchAll(createTasks(BLOCKS.slice(0, 1)).tasks).catch(settled);
    await vi.advanceTimersByTimeAsync(119_000);
    expect(settled).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(8_000);
    await failed;
    expect(settled.mock.lastCall?.[0]).toMatchObject({ code: 'ERR_NOT_FOUND' });
    await fetch.close();
  });

  it('gives up with ERR_NOT_FOUND after five seconds in which nobody has what is left', async () => {
    const fetch = new Peers({ a: () => fails(new NotFoundError('not here')) }).open();
    const settled = vi.fn<(error: unknown) => void>();
    const failed = fetch.fetchAll(createTasks().tasks).catch(settled);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(settled).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(500);
    await failed;
    expect(settled.mock.lastCall?.[0]).toMatchObject({
      code: 'ERR_NOT_FOUND',
      message: 'none of 1 peers has the 20 blocks that are missing',
    });
    await fetch.close();
  });
});
