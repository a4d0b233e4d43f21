import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { LimitError, StoreError } from '../protocols/errors.ts';
import { describeSchemaIssue } from '../protocols/schema-issue.ts';
import type { VersionCid } from '../protocols/types.ts';
import { writeDurably } from '../src/swarm/durable-file.ts';

/** Versions that may be pinned, and as many that may be forbidden. */
const MAX_ORDERED_VERSIONS = 1_024;

const cids = z.array(z.string().min(32).max(128)).max(MAX_ORDERED_VERSIONS);
const ordersSchema = z.object({ cordoned: z.boolean(), pinned: cids, forbidden: cids });

type Orders = z.infer<typeof ordersSchema>;

const NO_ORDERS: Orders = { cordoned: false, pinned: [], forbidden: [] };

export interface OperatorOrdersInit {
  /** File that keeps them over restarts. */
  readonly file: string;
  /** Called after each change, which is on the disk by then. */
  readonly onChange: () => void;
}

/** What the operator of a running node has ordered by hand, until he takes it back: which versions it keeps, which it never takes. */
export class OperatorOrders {
  readonly #init: OperatorOrdersInit;
  #orders: Orders;
  #writing: Promise<void> = Promise.resolve();

  private constructor(init: OperatorOrdersInit, orders: Orders) {
    this.#init = init;
    this.#orders = orders;
  }

  /** @throws {ERR_STORE} when the file is damaged: what was forbidden must not be taken because nobody could read that. */
  static async open(init: OperatorOrdersInit): Promise<OperatorOrders> {
    const text = await readFile(init.file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    return new OperatorOrders(init, text === undefined ? NO_ORDERS : parse(text, init.file));
  }

  /** True while the node takes no further versions. */
  get cordoned(): boolean {
    return this.#orders.cordoned;
  }

  /** Versions that stay in memory. */
  get pinned(): readonly VersionCid[] {
    return this.#orders.pinned as VersionCid[];
  }

  /** Versions that are never held. */
  get forbidden(): readonly VersionCid[] {
    return this.#orders.forbidden as VersionCid[];
  }

  async cordon(cordoned: boolean): Promise<void> {
    await this.#change((orders) => ({ ...orders, cordoned }));
  }

  /** @throws {ERR_LIMIT} when too many are pinned. What is pinned is not forbidden any more. */
  async pin(cid: VersionCid): Promise<void> {
    await this.#change(({ pinned, forbidden, ...rest }) => ({
      ...rest,
      pinned: withOne(pinned, cid, 'pinned'),
      forbidden: without(forbidden, cid),
    }));
  }

  async unpin(cid: VersionCid): Promise<void> {
    await this.#change((orders) => ({ ...orders, pinned: without(orders.pinned, cid) }));
  }

  /** @throws {ERR_LIMIT} when too many are forbidden. What is forbidden is not pinned any more. */
  async forbid(cid: VersionCid): Promise<void> {
    await this.#change(({ pinned, forbidden, ...rest }) => ({
      ...rest,
      pinned: without(pinned, cid),
      forbidden: withOne(forbidden, cid, 'forbidden'),
    }));
  }

  async allow(cid: VersionCid): Promise<void> {
    await this.#change((orders) => ({ ...orders, forbidden: without(orders.forbidden, cid) }));
  }

  /** One after the other: each counts from what the one before it left. */
  async #change(revise: (orders: Orders) => Orders): Promise<void> {
    const changing = this.#writing.then(async () => {
      const orders = revise(this.#orders);
      await writeDurably(this.#init.file, Buffer.from(`${JSON.stringify(orders, null, 2)}\n`));
      this.#orders = orders;
    });
    this.#writing = changing.catch(() => {
      // Whoever gave the order hears of it.
    });
    await changing;
    this.#init.onChange();
  }
}

function withOne(cids: readonly string[], cid: VersionCid, what: string): string[] {
  const more = [...without(cids, cid), cid];
  if (more.length <= MAX_ORDERED_VERSIONS) return more;
  throw new LimitError(
    `${cids.length} versions are ${what}, expected at most ${MAX_ORDERED_VERSIONS}`,
  );
}

function without(cids: readonly string[], cid: VersionCid): string[] {
  return cids.filter((one) => one !== cid);
}

function parse(text: string, file: string): Orders {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new StoreError(`${file} is not JSON, expected the orders that the node wrote there`, {
      cause,
    });
  }
  const parsed = ordersSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new StoreError(`${file} ${describeSchemaIssue(parsed.error)}`);
}
