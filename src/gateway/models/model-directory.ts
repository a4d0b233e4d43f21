import { InvalidInputError, LimitError, NotFoundError } from '../../../protocols/errors.ts';
import type { Manifest } from '../../../protocols/manifest/index.ts';
import {
  DEFAULT_CHANNEL,
  isName,
  type ModelRef,
  type ModelSelector,
  parseName,
  parsePublisherId,
  parseVersionCid,
} from '../../../protocols/reference.ts';
import type { PublisherId, VersionCid } from '../../../protocols/types.ts';
import type { SwarmAccess } from '../swarm-access.ts';
import { BareNames } from './bare-names.ts';
import { shown, unknownModel } from './shown-name.ts';

/** Models that are not served at most. */
const MAX_REFUSED = 1024;

/** A release sequence, as Triton's clients write versions. */
const SEQUENCE = /^\d{1,16}$/;

/** A model as a caller's name and version meant it just now. */
export interface ServedModel {
  /** The name that the caller used, to be echoed. */
  readonly asked: string;
  /** `publisher/name`: bounded by what is published, so it may label a metric. */
  readonly name: string;
  /** What the swarm is asked for. */
  readonly ref: ModelRef;
  readonly cid: VersionCid;
  /** The version in Triton's sense: the release sequence in digits, or the CID where that was asked for. */
  readonly version: string;
  /** True when the caller named the version, so that no canary may answer in its place. */
  readonly pinned: boolean;
  readonly manifest: Manifest;
}

export interface FindOptions {
  readonly signal: AbortSignal;
  /** Find it although it is not to be served. @default false */
  readonly unserved?: boolean | undefined;
}

export interface ModelDirectoryInit {
  /** Publishers by petname. */
  readonly publishers: ReadonlyMap<string, PublisherId>;
}

/** Finds models by the names and versions that callers of an inference server use. */
export class ModelDirectory {
  readonly #access: SwarmAccess;
  readonly #publishers: ReadonlyMap<string, PublisherId>;
  readonly #refused = new Set<string>();
  readonly #bareNames: BareNames;

  constructor(access: SwarmAccess, { publishers }: ModelDirectoryInit) {
    this.#access = access;
    this.#publishers = publishers;
    this.#bareNames = new BareNames({
      trusted: new Set(publishers.values()),
      search: (text, signal) => access.client.searchModels({ text }, { signal }),
      nowMs: () => performance.now(),
    });
  }

  /**
   * The model of a name (`publisher/name`, `petname/name`, or a bare name that one publisher has) in a version (a channel, a release
   * sequence in digits, or a CID; `''` is the stable channel, less a canary's share).
   *
   * @throws {ERR_NOT_FOUND} when it is unknown, refused, or the bare name is several publishers'.
   * @throws {ERR_INVALID_INPUT} when a part is malformed. {ERR_NO_NODE} when nobody could give its manifest. {ERR_CONNECTION} when too few peers
   * said which models there are.
   */
  async find(
    asked: string,
    version: string,
    { signal, unserved = false }: FindOptions,
  ): Promise<ServedModel> {
    const slash = asked.indexOf('/');
    const publisher =
      slash < 0 ? await this.#soleOf(asked, signal) : this.#publisherOf(asked, slash);
    const name = asked.slice(slash + 1);
    if (!unserved && this.isRefused(`${publisher}/${name}`)) {
      throw new NotFoundError(
        `Request for unknown model: ${shown(asked)} has no available versions`,
      );
    }
    const selector = parseSelector(version);
    const ref: ModelRef = { publisher, name, selector };
    const { cid, sequence, manifest } = await this.#access.client.describe(ref, { signal });
    if (SEQUENCE.test(version) && Number(version) !== sequence) {
      throw new NotFoundError(
        `model ${shown(asked)} has no version '${version}', its release is ${sequence}`,
      );
    }
    const pinned = version !== '';
    return {
      asked,
      name: `${publisher}/${name}`,
      ref: SEQUENCE.test(version) ? { publisher, name, selector: { kind: 'version', cid } } : ref,
      cid,
      version: selector.kind === 'version' ? cid : String(sequence),
      pinned,
      manifest,
    };
  }

  /** True for a model, by `publisher/name`, that is not to be served. */
  isRefused(name: string): boolean {
    return this.#refused.has(name);
  }

  /** From now on it is not served. @throws {ERR_LIMIT} when too many are not. */
  refuse(name: string): void {
    if (this.#refused.size >= MAX_REFUSED && !this.#refused.has(name)) {
      throw new LimitError(`${MAX_REFUSED} models are unloaded, expected fewer`);
    }
    this.#refused.add(name);
  }

  /** From now on it is served again. */
  serve(name: string): void {
    this.#refused.delete(name);
  }

  /** Who stands before the slash. @throws {ERR_NOT_FOUND} when nobody does, or no name after it. */
  #publisherOf(asked: string, slash: number): PublisherId {
    const who = asked.slice(0, slash);
    try {
      parseName(asked.slice(slash + 1), 'model');
      return this.#publishers.get(who) ?? parsePublisherId(who);
    } catch (cause) {
      if (!(cause instanceof InvalidInputError)) throw cause;
      throw unknownModel(asked, { cause });
    }
  }

  /** The one publisher that has a model of this name; those that have a petname come before strangers. */
  async #soleOf(name: string, signal: AbortSignal): Promise<PublisherId> {
    if (!isName(name)) throw unknownModel(name);
    return this.#bareNames.publisherOf(name, { signal });
  }
}

function parseSelector(version: string): ModelSelector {
  if (version === '') return { kind: 'channel', channel: DEFAULT_CHANNEL, split: true };
  if (SEQUENCE.test(version)) return { kind: 'channel', channel: DEFAULT_CHANNEL };
  const cid = version.length > 32 ? parseVersionCid(version) : undefined;
  if (cid !== undefined) return { kind: 'version', cid };
  if (isName(version)) return { kind: 'channel', channel: version };
  throw new NotFoundError(
    `version ${shown(version)} is unknown, expected a channel, a release sequence or a CID`,
  );
}
