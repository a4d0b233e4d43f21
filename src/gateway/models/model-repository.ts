import { InvalidInputError } from '../../../protocols/errors.ts';
import { DEFAULT_CHANNEL } from '../../../protocols/reference.ts';
import type { AbortOptions } from '../../../protocols/types.ts';
import type { FoundModel } from '../../client/catalog-search.ts';
import { type Caller, checkAdmin, checkMayUse } from '../access/api-keys.ts';
import { GatewayRefusal } from '../refusal.ts';
import type { SwarmAccess } from '../swarm-access.ts';
import type { ModelDirectory, ServedModel } from './model-directory.ts';
import { shown } from './shown-name.ts';

/** A model of the swarm, by the names of the repository extension. */
export interface IndexedModel {
  readonly name: string;
  /** The release sequence. */
  readonly version: string;
  readonly state: 'READY' | 'UNAVAILABLE';
  readonly reason: string;
}

/** What a caller asks to be loaded, or not to be served any more. */
export interface RepositoryCall extends AbortOptions {
  readonly model: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly caller: Caller;
  readonly signal: AbortSignal;
}

/**
 * The swarm's catalog as Triton's model repository. To load and unload says what this one gateway serves, until it ends: the swarm's
 * nodes hold what their owners and publishers want, and no gateway can tell them otherwise.
 *
 * @see https://github.com/triton-inference-server/server, docs/protocol/extension_model_repository.md
 */
export class ModelRepository {
  readonly #access: SwarmAccess;
  readonly #directory: ModelDirectory;

  constructor(access: SwarmAccess, directory: ModelDirectory) {
    this.#access = access;
    this.#directory = directory;
  }

  /** The models that peers know of and that the caller may use: of a very large swarm a sample. */
  async index(
    caller: Caller,
    { ready, signal }: { readonly ready: boolean } & AbortOptions,
  ): Promise<IndexedModel[]> {
    const { models } = await this.#access.client.searchModels({}, { signal });
    return (
      models
        // What it may not use it need not hear of.
        .filter(({ publisher, name }) => caller.mayUse(`${publisher}/${name}`))
        .map((model) => this.#describe(model))
        .filter(({ state }) => !ready || state === 'READY')
    );
  }

  /**
   * Serves a model again, and resolves when some node does.
   *
   * @throws {GatewayRefusal} when the caller is no admin, brings a model or a configuration with it, or no node serves the model.
   */
  async load(call: RepositoryCall): Promise<void> {
    for (const name of Object.keys(call.parameters)) {
      if (name !== 'config' && !name.startsWith('file:')) continue;
      throw new GatewayRefusal(
        'unsupported',
        `load parameter ${shown(name)} is not supported: models come into the swarm by \`swarm publish\` alone, with their publisher's signature`,
      );
    }
    const { name, cid, asked } = await this.#find(call);
    this.#directory.serve(name);
    if (this.#access.client.servable(cid).length > 0) return;
    throw new GatewayRefusal('unavailable', `no node serves model ${shown(asked)}`);
  }

  /** Serves a model no more. Its dependents, which Triton can unload too, are none: each model stands for itself. */
  async unload(call: RepositoryCall): Promise<void> {
    const unloadDependents = call.parameters['unload_dependents'] ?? false;
    if (typeof unloadDependents !== 'boolean') {
      throw new InvalidInputError(
        `unload_dependents is ${typeof unloadDependents}, expected true or false`,
      );
    }
    const { name } = await this.#find(call);
    this.#directory.refuse(name);
  }

  async #find({ model, caller, signal }: RepositoryCall): Promise<ServedModel> {
    checkAdmin(caller);
    const found = await this.#directory.find(model, '', { signal, unserved: true });
    checkMayUse(caller, found.name);
    return found;
  }

  #describe({ publisher, name, record }: FoundModel): IndexedModel {
    const full = `${publisher}/${name}`;
    const target = record.channels[DEFAULT_CHANNEL];
    const reason = this.#directory.isRefused(full)
      ? 'unloaded'
      : target === undefined
        ? 'no stable channel'
        : this.#access.client.servable(target.cid).length === 0
          ? 'no node serves it'
          : '';
    return {
      name: full,
      version: String(record.sequence),
      state: reason === '' ? 'READY' : 'UNAVAILABLE',
      reason,
    };
  }
}
