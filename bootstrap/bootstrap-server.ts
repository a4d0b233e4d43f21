import path from 'node:path';
import type { NodeId } from '../protocols/types.ts';
import type { FleetAddresses, FleetService } from '../src/fleet/fleet-service.ts';
import { checkProvisionHook } from '../src/fleet/hook-check.ts';
import { ensureFolder } from '../src/model/ensured-folder.ts';
import { loadOrCreateKey } from '../src/swarm/identity.ts';
import { SwarmPeer } from '../src/swarm/peer.ts';
import { RecordStore } from '../src/swarm/record-store.ts';
import { serveRouting } from '../src/swarm/routing-service.ts';
import {
  type BootstrapInit,
  type ResolvedBootstrapInit,
  resolveBootstrapInit,
} from './bootstrap-init.ts';

/**
 * A way into the swarm: a DHT server that others can dial, and a listener on every gossip topic, so that whoever arrives
 * learns from it who is there and what was released. It holds no model and passes no request on.
 */
export class BootstrapServer implements AsyncDisposable {
  readonly #peer: SwarmPeer;
  readonly #records: RecordStore;
  readonly #fleet: FleetService | undefined;
  #stopped: Promise<void> | undefined;

  constructor(peer: SwarmPeer, records: RecordStore, fleet?: FleetService) {
    this.#peer = peer;
    this.#records = records;
    this.#fleet = fleet;
  }

  get id(): NodeId {
    return this.#peer.id;
  }

  /** Multiaddrs others can dial, with `/p2p/<id>`. */
  get addresses(): string[] {
    return this.#peer.addresses;
  }

  /** Where KEDA and Prometheus ask how many nodes there are to be; what is off is undefined. */
  get fleetAddresses(): FleetAddresses {
    return this.#fleet?.addresses ?? { grpc: undefined, metrics: undefined };
  }

  /** Leaves the swarm, then closes its records. Twice is once. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #stop(): Promise<void> {
    await this.#fleet?.stop();
    await this.#peer.stop();
    await this.#records.close();
  }
}

/**
 * Starts a bootstrap server; it serves when the promise resolves.
 *
 * @throws {ERR_CONFIG} when a setting is wrong or an address cannot be listened on.
 * @throws {ERR_STORE} when the data folder is locked or damaged. The system's error when `grpc` or `metrics` cannot be listened on.
 */
export async function createBootstrapServer(
  bootstrapInit: BootstrapInit,
): Promise<BootstrapServer> {
  const init = resolveBootstrapInit(bootstrapInit);
  await checkProvisionHook(init.provision);
  await ensureFolder(init.dataDir, 0o700);
  const privateKey = await loadOrCreateKey(path.join(init.dataDir, 'bootstrap.key'), {
    onWarning: (message) => init.logger.warn(message),
  });
  const records = await RecordStore.open(path.join(init.dataDir, 'records'), init.logger);
  let peer: SwarmPeer | undefined;
  try {
    peer = await SwarmPeer.start({
      network: init.network,
      privateKey,
      dhtMode: 'server',
      bootstrap: init.bootstrap,
      listen: init.listen,
      announce: init.announce,
      datastore: records.datastore,
      sequences: records.sequences,
      mdns: init.mdns,
      maxConnections: init.maxConnections,
      onWarning: (message) => init.logger.warn(message),
    });
    const forGood = Number.POSITIVE_INFINITY;
    peer.gossip.joinAll(forGood);
    peer.releaseGossip.joinAll(forGood);
    peer.outcomes.joinAll(forGood);
    peer.demand.joinAll(forGood);
    peer.recruits.join();
    peer.provisions.join();
    await serveRouting(peer);
    return new BootstrapServer(peer, records, await startFleet(peer, init));
  } catch (error) {
    await peer?.stop();
    await records.close();
    throw error;
  }
}

/** Most bootstrap servers are asked for none of it, and load nothing for it. */
async function startFleet(
  peer: SwarmPeer,
  init: ResolvedBootstrapInit,
): Promise<FleetService | undefined> {
  const { fleet, provision, grpc, metrics } = init;
  if ([fleet, provision, grpc, metrics].every((part) => part === undefined)) return undefined;
  const { FleetService } = await import('../src/fleet/fleet-service.ts');
  return FleetService.start(peer, init);
}
