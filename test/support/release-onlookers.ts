import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { sha256 } from '../../protocols/digest.ts';
import { compareReleases, decodeRelease } from '../../protocols/release/index.ts';
import type { PublisherId } from '../../protocols/types.ts';
import type { SwarmClient } from '../../src/index.ts';
import type { SwarmPeer } from '../../src/swarm/peer.ts';

/** Pause between two looks of a client: a flip that lasts shorter is none that a caller meets. */
const LOOK_INTERVAL_MS = 20;

/** A model, without a channel. */
export interface ModelName {
  readonly publisher: PublisherId;
  readonly name: string;
}

/** A signed record with what decides between it and others. */
export interface RankedRelease {
  readonly bytes: Uint8Array;
  readonly sequence: number;
  readonly hash: Uint8Array;
  /** What its `stable` channel points at. */
  readonly cid: string | undefined;
}

export async function rankedRelease(bytes: Uint8Array): Promise<RankedRelease> {
  const { sequence, channels } = await decodeRelease(bytes, { nowMs: null });
  return { bytes, sequence, hash: sha256(bytes), cid: channels['stable']?.cid };
}

/** The record that is to win everywhere: highest sequence, then lowest hash. */
export function winnerOf(releases: readonly RankedRelease[]): RankedRelease {
  return releases.reduce((best, other) => (compareReleases(other, best) > 0 ? other : best));
}

/** The record that a peer answers routing queries with, undefined when it knows none. */
export async function releaseKnownBy(
  asker: SwarmPeer,
  peer: string,
  { publisher, name }: ModelName,
): Promise<RankedRelease | undefined> {
  const { release } = await asker.snapshot(
    peer,
    { kind: 'model', publisher, name, selector: '' },
    AbortSignal.timeout(10_000),
  );
  return release === null ? undefined : rankedRelease(release);
}

/** What a client's resolutions said of a model, one entry for each change. */
export class Sightings implements AsyncDisposable {
  readonly #seen: { sequence: number; cid: string }[] = [];
  readonly #looking: Promise<void>;
  #stopped = false;

  constructor(client: SwarmClient, { publisher, name }: ModelName) {
    this.#looking = this.#look(client, `${publisher}/${name}`);
  }

  get last(): { readonly sequence: number; readonly cid: string } | undefined {
    return this.#seen.at(-1);
  }

  /** Checks that every change was from a record to one that supersedes it, and that each is one of these. */
  expectOnlyForward(releases: readonly RankedRelease[]): void {
    const ranks = releases.toSorted(compareReleases);
    const steps = this.#seen.map(({ sequence, cid }) =>
      ranks.findIndex((release) => release.sequence === sequence && release.cid === cid),
    );
    expect(steps).not.toContain(-1);
    expect(steps).toEqual(steps.toSorted((a, b) => a - b));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await this.#looking;
  }

  async #look(client: SwarmClient, reference: string): Promise<void> {
    while (!this.#stopped) {
      try {
        const { sequence, cid } = await client.resolve(reference);
        const same = this.last?.sequence === sequence && this.last.cid === cid;
        if (!same) this.#seen.push({ sequence, cid });
      } catch {
        // Nothing is released yet, or the swarm is in two: whoever waits for a sighting sees that none came.
      }
      await delay(LOOK_INTERVAL_MS);
    }
  }
}
