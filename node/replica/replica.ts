import {
  type AnnouncedVersion,
  MAX_VERSION_NOTE_LENGTH,
  type ReplicaState,
} from '../../protocols/capacity/index.ts';
import { cleanRemoteText } from '../../protocols/status.ts';
import type { PublisherId, VersionCid } from '../../protocols/types.ts';
import type { LoadedModel } from '../backend/backend.ts';
import type { VersionQueue } from '../scheduler/version-queue.ts';
import type { Standing } from './memory-ledger.ts';

/** Milliseconds for which a version stays in memory for callers who were told to come back for it, until one has. */
const PROMISE_MS = 30_000;

/** Longest time for which a request whose body is on its way keeps a version in memory, in milliseconds. */
const MAX_EXPECTED_MS = 60_000;

/** What a replica was asked for as. */
export interface ReplicaOrigin {
  readonly publisher: PublisherId;
  readonly name: string;
  readonly cid: VersionCid;
}

/** True for two names that are one. */
export function isSameModel(a: ReplicaOrigin, b: ReplicaOrigin): boolean {
  return a.publisher === b.publisher && a.name === b.name;
}

/** What is known of a load besides the model itself. */
export interface LoadFacts {
  /** Milliseconds it took, golden vectors included; null when unknown. */
  readonly loadMs: number | null;
  /** Why it runs on another execution provider than the best one; null when it does not. */
  readonly note: string | null;
}

/**
 * One version on this node, from the moment it is wanted until it is gone.
 *
 *     loading ──▶ ready ──▶ gone          cold: on the disk, its memory given back
 *       ▲ │        │  ▲                   quarantined: crashed here, and is left alone for a while
 *       │ └────────┼──┼────▶ gone
 *     cold ◀───────┘  │
 *       ▲  ◀── quarantined ◀── ready
 */
export class Replica {
  readonly origin: ReplicaOrigin;
  #state: ReplicaState = 'loading';
  #model: LoadedModel | undefined;
  #queue: VersionQueue | undefined;
  #note: string | null = null;
  /** When the state began, on the clock of `performance.now()`. */
  #sinceMs = performance.now();
  #loadMs: number | null = null;
  /** Milliseconds a load is expected to take by the size of its files alone. */
  #assumedLoadMs: number | null = null;
  #uses = 0;
  #lastUsedMs = performance.now();
  /** Requests being answered. */
  #references = 0;
  /** Requests that were let in and whose bodies are not here yet. */
  #expected = 0;
  /** Until when the last of them may come. */
  #expectedUntilMs = 0;
  /** Until when callers who were told to come back for it have time to. */
  #promisedUntilMs = 0;

  constructor(origin: ReplicaOrigin) {
    this.origin = origin;
  }

  /** `ready` only while the process that serves it is: a child that is being restarted makes it `loading` again. */
  get state(): ReplicaState {
    if (this.#state !== 'ready') return this.#state;
    switch (this.#model?.state) {
      case 'ready':
        return 'ready';
      case 'restarting':
        return 'loading';
      default:
        return 'gone';
    }
  }

  get model(): LoadedModel | undefined {
    return this.#model;
  }

  get queue(): VersionQueue | undefined {
    return this.#queue;
  }

  /** Why it stands as it does; null when there is nothing to say. */
  get note(): string | null {
    return this.#note;
  }

  /** Estimated milliseconds until it is READY, from now or, when it is cold, from when it is asked for; null when unknown. */
  get etaMs(): number | null {
    const loadMs = this.#loadMs ?? this.#assumedLoadMs;
    if (loadMs === null) return null;
    if (this.#state === 'cold') return Math.round(loadMs);
    if (this.state !== 'loading') return null;
    return Math.round(Math.max(100, loadMs - (performance.now() - this.#sinceMs)));
  }

  /** True while callers who were told to come back for it have time to, and none has. */
  get promised(): boolean {
    return performance.now() < this.#promisedUntilMs;
  }

  /** How it stands beside other versions when memory is short. */
  get standing(): Standing {
    const load = this.#queue?.load();
    const queued = load === undefined ? 0 : load.inFlight + load.queued;
    return {
      busy:
        this.state !== 'ready' ||
        this.#references > 0 ||
        queued > 0 ||
        (this.#expected > 0 && performance.now() < this.#expectedUntilMs) ||
        this.promised,
      lastUsedMs: this.#lastUsedMs,
      uses: this.#uses,
      loadMs: this.#loadMs ?? 0,
    };
  }

  /** A request was let in, and its body will be here within so many milliseconds or never. */
  expect(withinMs: number): void {
    const nowMs = performance.now();
    // Those who did not come in time do not come.
    if (nowMs >= this.#expectedUntilMs) this.#expected = 0;
    this.#expected += 1;
    const untilMs = nowMs + Math.min(MAX_EXPECTED_MS, withinMs);
    this.#expectedUntilMs = Math.max(this.#expectedUntilMs, untilMs);
  }

  /** Keeps it in memory until the function it returns is called. */
  acquire(): () => void {
    this.#references += 1;
    this.#uses += 1;
    this.#lastUsedMs = performance.now();
    this.#expected = Math.max(0, this.#expected - 1);
    this.#promisedUntilMs = 0;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#references -= 1;
      this.#lastUsedMs = performance.now();
    };
  }

  /** So much of it is on the disk. */
  fetched(bytes: number, totalBytes: number | null): void {
    if (totalBytes === null || bytes <= 0) return;
    const elapsedMs = performance.now() - this.#sinceMs;
    this.#assumedLoadMs = (elapsedMs * totalBytes) / bytes;
  }

  /** A load begins, which by the size of its files may take so long. */
  loading(assumedMs: number | null = null): void {
    this.#assumedLoadMs = assumedMs;
    this.#become('loading', null);
  }

  /** @param promised whether callers were told to come back for it */
  loaded(
    model: LoadedModel,
    queue: VersionQueue,
    { loadMs, note }: LoadFacts = { loadMs: null, note: null },
    promised = false,
  ): void {
    this.#model = model;
    this.#queue = queue;
    this.#loadMs = loadMs;
    this.#uses = 0;
    this.#lastUsedMs = performance.now();
    this.#promisedUntilMs = promised ? performance.now() + PROMISE_MS : 0;
    this.#become('ready', note);
  }

  /** Takes no more requests, ends what runs, gives the memory back and stays on the disk. */
  async sleep(note: string | null = null): Promise<void> {
    await this.#leave('cold', note);
  }

  /** As {@link sleep}, and is not to be loaded for now. */
  async quarantine(reason: string): Promise<void> {
    await this.#leave('quarantined', reason);
  }

  /** Ends what runs, then gives its memory back. */
  async unload(note: string | null = null): Promise<void> {
    await this.#leave('gone', note);
  }

  announced(): AnnouncedVersion {
    const { publisher, name, cid } = this.origin;
    const load = this.#queue?.load() ?? { inFlight: 0, queued: 0, slots: 1, serviceMs: null };
    const { etaMs, state } = this;
    return {
      cid,
      publisher,
      name,
      state,
      load,
      ...(etaMs === null ? {} : { etaMs }),
      ...(this.#note === null ? {} : { note: this.#note }),
    };
  }

  async #leave(state: 'cold' | 'quarantined' | 'gone', note: string | null): Promise<void> {
    const [queue, model] = [this.#queue, this.#model];
    this.#become(state, note);
    await queue?.drain();
    // A load may have begun since.
    if (this.#queue === queue) this.#queue = undefined;
    if (this.#model === model) this.#model = undefined;
    await model?.unload();
  }

  #become(state: ReplicaState, note: string | null): void {
    this.#state = state;
    this.#note = note === null ? null : shortNote(cleanRemoteText(note));
    this.#sinceMs = performance.now();
  }
}

/** Cut where it must be, so that it shows. */
function shortNote(note: string): string {
  return note.length <= MAX_VERSION_NOTE_LENGTH
    ? note
    : `${note.slice(0, MAX_VERSION_NOTE_LENGTH - 1)}…`;
}
