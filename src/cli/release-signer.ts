import { ConfigError } from '../../protocols/errors.ts';
import { parseName } from '../../protocols/reference.ts';
import type { PublisherId } from '../../protocols/types.ts';
import type { ReleaseSigner, ReleaseTurn } from '../client/release-move.ts';
import type { CommandContext } from './command-context.ts';
import { readDelegation } from './delegation-file.ts';
import { KeptReleases } from './kept-releases.ts';
import type { CommandKey } from './key-file.ts';
import { openOrMakePublisherKey, openPublisherKey, publisherFolder } from './publisher-key.ts';

/** Whose model a command moves, and with which key. */
export interface ModelSigner {
  readonly publisher: PublisherId;
  readonly name: string;
  readonly signer: ReleaseSigner;
  /** Waits for this process's turn to sign; `holder` is told to those who wait in the meantime. */
  readonly openTurn: (holder: string, signal: AbortSignal) => Promise<ReleaseTurn>;
}

export interface OpenSignerOptions {
  /** Make a key when there is none. @default false */
  readonly create?: boolean | undefined;
}

/**
 * The key of `--key` as the publisher of a model, or with `--delegation` as the delegate of its publisher.
 *
 * @throws {ERR_INVALID_INPUT} when the name is malformed. {ERR_NOT_FOUND} when a key or certificate is not there.
 * @throws {ERR_CONFIG} when the certificate is for another key or another model.
 */
export async function openModelSigner(
  context: CommandContext,
  text: string,
  { create = false }: OpenSignerOptions = {},
): Promise<ModelSigner> {
  const name = parseName(text, 'model');
  const { settings } = context;
  const key = await (create ? openOrMakePublisherKey(context) : openPublisherKey(context));
  const certificate =
    settings.delegation === undefined
      ? undefined
      : await readCertificate(context, settings.delegation, name, key);
  const publisher = certificate?.publisher ?? (key.id as PublisherId);
  const kept = new KeptReleases(publisherFolder(context));
  const model = { network: settings.network, publisher, name };
  return {
    publisher,
    name,
    signer: { key: key.key, certificate: certificate?.bytes },
    openTurn: (holder, signal) => kept.openTurn(model, { holder, signal }),
  };
}

async function readCertificate(
  context: CommandContext,
  file: string,
  name: string,
  key: CommandKey,
): Promise<{ readonly bytes: Uint8Array; readonly publisher: PublisherId }> {
  const { bytes, delegation } = await readDelegation(context, file);
  if (delegation.delegate !== key.id || delegation.name !== name) {
    throw new ConfigError(
      `--delegation ${file} lets ${delegation.delegate} move '${delegation.name}', expected it for ${key.id} (--key) and '${name}'`,
    );
  }
  return { bytes, publisher: delegation.publisher };
}
