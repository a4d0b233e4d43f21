import { generateKeyPair } from '@libp2p/crypto/keys';
import { createMemorySequenceStore } from '../../../protocols/release/index.ts';
import { resolveScalingInit, type ScalingInit } from '../../policy/scaling/scaling-settings.ts';
import { FleetWatch } from '../../swarm/fleet-watch.ts';
import { SwarmPeer } from '../../swarm/peer.ts';
import { FleetKeeper, type FleetKeeperInit } from './fleet-keeper.ts';
import type { LocalSwarm } from './local-swarm.ts';

export interface LocalFleetInit extends Omit<FleetKeeperInit, 'tickMs'> {
  /** Over which times demand is followed, as the nodes do. @default {} */
  readonly scaling?: ScalingInit | undefined;
}

/**
 * Has the number of a local swarm's nodes follow its demand, seen as every peer sees it; resolves when the signal aborts, at once
 * where there is nothing to follow.
 */
export async function keepFleet(
  swarm: LocalSwarm,
  { scaling, ...init }: LocalFleetInit,
  signal: AbortSignal,
): Promise<void> {
  if (init.max <= init.min) return;
  const settings = resolveScalingInit(scaling);
  const peer = await SwarmPeer.start({
    network: swarm.network,
    privateKey: await generateKeyPair('Ed25519'),
    dhtMode: 'client',
    bootstrap: [swarm.bootstrapAddress],
    sequences: createMemorySequenceStore(),
    scaling: settings,
  });
  const watch = new FleetWatch(peer, settings);
  try {
    const look = (nowMs: number) => watch.look(nowMs);
    await new FleetKeeper({ swarm, look }, { ...init, tickMs: settings.tickMs }).run(signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await watch.stop();
    await peer.stop();
  }
}
