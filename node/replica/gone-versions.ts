import type { AnnouncedVersion } from '../../protocols/capacity/index.ts';

/** Versions whose end is still told at most. */
const MAX_GONE_VERSIONS = 16;

/** Versions that are held no more and whose end is still told, so that those who missed the first word hear it again. */
export class GoneVersions {
  readonly #versions: AnnouncedVersion[] = [];

  add(version: AnnouncedVersion): void {
    this.#versions.push(version);
    if (this.#versions.length > MAX_GONE_VERSIONS) this.#versions.shift();
  }

  announced(): readonly AnnouncedVersion[] {
    return this.#versions;
  }
}
