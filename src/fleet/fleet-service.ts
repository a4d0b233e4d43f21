import type { Logger } from 'pino';
import { resolveScalingInit } from '../policy/scaling/scaling-settings.ts';
import { FleetWatch } from '../swarm/fleet-watch.ts';
import type { ListenAddress } from '../swarm/listen-address.ts';
import type { MetricsServer } from '../swarm/metrics-server.ts';
import type { SwarmPeer } from '../swarm/peer.ts';
import { ProvisionLease } from '../swarm/provision-lease.ts';
import { checkFleetInit, type FleetServiceInit } from './fleet-init.ts';
import { FleetSizer } from './fleet-sizer.ts';
import { Provisioner } from './provisioner.ts';
import type { ScalerServer } from './scaler-server.ts';

/** Where a {@link FleetService} listens; what is off is undefined. */
export interface FleetAddresses {
  readonly grpc: ListenAddress | undefined;
  readonly metrics: ListenAddress | undefined;
}

/** Says how many nodes there are to be, on ports of its own: what a gateway does beside its other work. */
export class FleetService {
  readonly #sizer: FleetSizer | undefined;
  readonly #provisioner: Provisioner | undefined;
  #grpc: ScalerServer | undefined;
  #metrics: MetricsServer | undefined;
  #addresses: FleetAddresses = { grpc: undefined, metrics: undefined };

  private constructor(peer: SwarmPeer, init: FleetServiceInit, logger: Logger) {
    const { fleet, provision } = init;
    const open = (): FleetWatch | undefined =>
      // Alone it has nobody to ask who is there, and would say so in the log for as long.
      peer.libp2p.getPeers().length === 0 ? undefined : new FleetWatch(peer, resolveScalingInit());
    this.#sizer =
      fleet &&
      new FleetSizer(open, {
        ...fleet,
        onFailure: (error) =>
          logger.warn({ err: error }, 'the need for nodes is not known for now'),
      });
    this.#provisioner =
      this.#sizer && provision !== undefined
        ? new Provisioner(this.#sizer, {
            ...{ hook: provision, logger },
            joinLease: (lease) => {
              const joined = new ProvisionLease(peer.provisions, lease);
              joined.start();
              return joined;
            },
          })
        : undefined;
  }

  /**
   * Begins to look, and resolves once it listens; whoever starts it stops it, before the peer.
   *
   * @throws {ERR_CONFIG} as {@link checkFleetInit}. The system's error when an address cannot be listened on.
   */
  static async start(
    peer: SwarmPeer,
    init: FleetServiceInit & { readonly logger: Logger },
  ): Promise<FleetService> {
    checkFleetInit(init);
    const service = new FleetService(peer, init, init.logger);
    try {
      await service.#listen(init);
    } catch (error) {
      await service.stop();
      throw error;
    }
    service.#sizer?.start();
    return service;
  }

  get addresses(): FleetAddresses {
    return this.#addresses;
  }

  async stop(): Promise<void> {
    await this.#provisioner?.stop();
    await this.#sizer?.stop();
    await Promise.all([this.#grpc?.close(), this.#metrics?.close()]);
  }

  /** Who asks for one of the two alone does not load the libraries of the other. */
  async #listen({
    grpc,
    metrics,
    logger,
  }: FleetServiceInit & { readonly logger: Logger }): Promise<void> {
    if (grpc !== undefined && this.#sizer !== undefined) {
      const { ExternalScaler } = await import('./external-scaler.ts');
      const { ScalerServer } = await import('./scaler-server.ts');
      const { takeGrpcLog } = await import('./grpc-log.ts');
      takeGrpcLog(logger);
      const server = new ScalerServer(grpc, new ExternalScaler(this.#sizer));
      this.#addresses = { ...this.#addresses, grpc: await server.start() };
      this.#grpc = server;
    }
    if (metrics !== undefined) {
      const { createFleetMetrics } = await import('./fleet-metrics.ts');
      const { MetricsServer } = await import('../swarm/metrics-server.ts');
      const server = new MetricsServer(
        metrics,
        createFleetMetrics(() => this.#sizer?.order),
      );
      this.#addresses = { ...this.#addresses, metrics: await server.start() };
      this.#metrics = server;
    }
  }
}
