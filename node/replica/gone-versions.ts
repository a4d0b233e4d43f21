import type { AnnouncedVersion } from '../../protocols/capacity/index.ts';
import type { VersionCid } from '../../protocols/types.ts';

/** Versions whose end is still told at most. */
const MAX_GONE_VERSIONS = 16;

/** Milliseconds for which it is told: three of the longest announcement interval, after which nobody believes an older word any more. */
const TOLD_MS = 180_000;

/** Versions that are held no more and whose end is still told, so that those who missed the first word hear it again. */
export class GoneVersions {
  #versions: readonly { readonly version: AnnouncedVersion; readonly untilMs: number }[] = [];
  readonly #isHeld: (cid: VersionCid) => boolean;

  /** @param isHeld whether a version is held again: its end is no news then, and must not be taken for one */
  constructor(isHeld: (cid: VersionCid) => boolean) {
    this.#isHeld = isHeld;
  }

  /** @param nowMs here and below by `performance.now()` */
  add(version: AnnouncedVersion, nowMs = performance.now()): void {
    const others = this.#versions.filter(({ version: { cid } }) => cid !== version.cid);
    this.#versions = [...others, { version, untilMs: nowMs + TOLD_MS }].slice(-MAX_GONE_VERSIONS);
  }

  announced(nowMs = performance.now()): readonly AnnouncedVersion[] {
    this.#versions = this.#versions.filter(
      ({ version: { cid }, untilMs }) => nowMs < untilMs && !this.#isHeld(cid),
    );
    return this.#versions.map(({ version }) => version);
  }
}
