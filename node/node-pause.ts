import { readFile, rm } from 'node:fs/promises';
import { BusyError } from '../protocols/errors.ts';
import { writeDurably } from '../src/swarm/durable-file.ts';

/** Milliseconds after which a paused node may be asked again: an owner's pause is long, and others are there. */
const RETRY_MS = 10_000;

/** Who paused: the owner by hand, the hours he set, or another program's use of the GPU. */
export type PauseCause = 'owner' | 'hours' | 'yield';

export interface NodePauseInit {
  /** File that says that the owner paused the node: his word holds until he takes it back, over restarts too. */
  readonly file: string;
  /** Told why the node takes nothing new now, and `undefined` when it does again. */
  readonly onChange: (reason: string | undefined) => void;
}

/** Whether this node rests, and why. Several causes may hold at once; it serves when none does. */
export class NodePause {
  readonly #init: NodePauseInit;
  readonly #causes = new Map<PauseCause, string>();

  private constructor(init: NodePauseInit) {
    this.#init = init;
  }

  /** Reads what the owner last said; tells nothing yet. */
  static async open(init: NodePauseInit): Promise<NodePause> {
    const pause = new NodePause(init);
    const said = await readFile(init.file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (said !== undefined) pause.#causes.set('owner', OWNER_REASON);
    return pause;
  }

  /** Why the node takes nothing new; undefined when it serves. */
  get reason(): string | undefined {
    const reasons = [...this.#causes.values()];
    return reasons.length === 0 ? undefined : reasons.join('; ');
  }

  /** @throws {ERR_BUSY} while the node is paused. */
  check(): void {
    const { reason } = this;
    if (reason !== undefined) throw new BusyError(`this node is paused: ${reason}`, RETRY_MS);
  }

  /** Pauses on behalf of the owner; what he said is on the disk when this resolves. */
  async pause(): Promise<void> {
    await writeDurably(this.#init.file, Buffer.from('paused by `swarm node pause`\n'));
    this.set('owner', OWNER_REASON);
  }

  /** Takes the owner's pause back; other causes go on. */
  async resume(): Promise<void> {
    await rm(this.#init.file, { force: true });
    this.set('owner', undefined);
  }

  /** Says that a cause holds, or with undefined that it does not any more. */
  set(cause: PauseCause, reason: string | undefined): void {
    const before = this.reason;
    if (reason === undefined) this.#causes.delete(cause);
    else this.#causes.set(cause, reason);
    if (this.reason !== before) this.#init.onChange(this.reason);
  }
}

const OWNER_REASON = 'its owner paused it';
