import { generateKeyPair } from '@libp2p/crypto/keys';
import { ConfigError } from '../../protocols/errors.ts';
import { createMemorySequenceStore } from '../../protocols/release/index.ts';
import { openEvidence, SwarmClient } from '../client/client.ts';
import { resolveClientInit } from '../client/client-init.ts';
import { SwarmPeer } from '../swarm/peer.ts';
import type { CommandContext } from './command-context.ts';
import { openKey } from './key-file.ts';

/** A command's own place in the swarm: a peer that only dials, and a client that stands on it. */
export interface JoinedSwarm extends AsyncDisposable {
  readonly peer: SwarmPeer;
  readonly client: SwarmClient;
}

/**
 * Joins as the settings say and resolves once a first peer is connected. Declare it with `await using`.
 *
 * Without a bootstrap address peers are looked for on the local network. `dataDir` is where evidence against nodes is kept.
 *
 * @throws {ERR_CONFIG} when there is no way in. {ERR_CONNECTION} when no peer can be reached. {ERR_DEADLINE} when the time ended
 * before that was known.
 */
export async function joinSwarm(
  context: CommandContext,
  { dataDir }: { readonly dataDir?: string } = {},
): Promise<JoinedSwarm> {
  const { settings, signal } = context;
  const mdns = settings.mdns ?? settings.bootstrap.length === 0;
  if (settings.bootstrap.length === 0 && !mdns) {
    throw new ConfigError(
      'there is no way into the swarm: give --bootstrap, or leave out --no-mdns',
    );
  }
  const init = resolveClientInit({
    network: settings.network,
    bootstrap: settings.bootstrap,
    mdns,
    mode: 'light',
    deadlineMs: settings.deadlineMs,
    dataDir,
  });
  const book = await openEvidence(init);
  const privateKey =
    settings.identity === undefined
      ? await generateKeyPair('Ed25519')
      : (await openKey(context, settings.identity)).key;
  const peer = await SwarmPeer.start({
    network: init.network,
    privateKey,
    dhtMode: 'client',
    bootstrap: init.bootstrap,
    mdns,
    sequences: createMemorySequenceStore(),
  });
  try {
    const timeout = AbortSignal.timeout(Math.min(init.joinTimeoutMs, init.deadlineMs));
    await peer.connected(AbortSignal.any([signal, timeout]));
  } catch (error) {
    await peer.stop();
    throw error;
  }
  const client = new SwarmClient(peer, init, book);
  return { peer, client, [Symbol.asyncDispose]: () => client.close() };
}
