import type { PublisherId, VersionCid } from '../types.ts';
import type { ReleaseGuard } from './guard.ts';

/** Where one channel points. */
export interface ReleaseChannel {
  readonly cid: VersionCid;
  /** Share of requests, above 0 and at most 1, that a partial channel such as `canary` takes from `stable`. */
  readonly weight?: number | undefined;
  /** When clients give the version up by themselves; without one only the publisher moves the channel. */
  readonly guard?: ReleaseGuard | undefined;
  /** What `guard` compares with and falls back to; without one a partial channel falls back to `stable`, any other not at all. */
  readonly previous?: VersionCid | undefined;
}

/** One move of a channel. */
export interface ReleaseMove {
  /** Sequence of the record that made it. */
  readonly sequence: number;
  readonly channel: string;
  /** Null when the channel was taken away. */
  readonly cid: VersionCid | null;
  readonly atMs: number;
}

/** A publisher's pointer: which version each channel of a model is. */
export interface ReleaseRecord {
  readonly schema: 1;
  readonly publisher: PublisherId;
  readonly name: string;
  /** Strictly increasing from 1, not always by one; the highest one seen is the truth. */
  readonly sequence: number;
  /** By channel name. Without prototype, so that no name finds anything that is not a channel. */
  readonly channels: Readonly<Record<string, ReleaseChannel>>;
  /** The latest moves, oldest first. */
  readonly history: readonly ReleaseMove[];
  /** Milliseconds since 1970 by the publisher's clock. */
  readonly issuedAtMs: number;
  /** From then on nobody believes the record, however often it is put again. */
  readonly expiresAtMs: number;
  /** The publisher's {@link Delegation} to whoever signed, when that is not the publisher. */
  readonly certificate?: Uint8Array | undefined;
}
