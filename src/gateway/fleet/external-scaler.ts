import {
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { FleetOrder, GatewayFleet } from './gateway-fleet.ts';

/** What KEDA knows the number by. */
const METRIC_NAME = 'swarm_nodes_wanted';

/** Pods by which KEDA's autoscaler divides the number: it is an absolute one. */
const TARGET = 1;

/** Streams that are open at once; KEDA holds one for each object that it scales. */
const MAX_STREAMS = 64;

type Reply<T> = sendUnaryData<T>;

interface Active {
  readonly result: boolean;
}

/**
 * KEDA's external scaler: has the pods of a Deployment or StatefulSet of nodes follow what the swarm needs. While nobody can say how
 * many that are, it fails, and KEDA leaves everything as it is.
 *
 * @see https://keda.sh/docs/latest/concepts/external-scalers/
 */
export class ExternalScaler {
  readonly #fleet: GatewayFleet;
  readonly #streams = new Set<ServerWritableStream<object, Active>>();
  readonly #unsubscribe: () => void;

  constructor(fleet: GatewayFleet) {
    this.#fleet = fleet;
    this.#unsubscribe = fleet.onLook((order) => {
      for (const stream of this.#streams) stream.write(activeOf(order));
    });
  }

  get implementation(): UntypedServiceImplementation {
    return {
      IsActive: (_: ServerUnaryCall<object, Active>, reply: Reply<Active>) => {
        this.#answer(reply, activeOf);
      },
      StreamIsActive: (stream: ServerWritableStream<object, Active>) => this.#stream(stream),
      GetMetricSpec: (_: ServerUnaryCall<object, object>, reply: Reply<object>) => {
        const spec = { metricName: METRIC_NAME, targetSize: TARGET, targetSizeFloat: TARGET };
        reply(null, { metricSpecs: [spec] });
      },
      GetMetrics: (_: ServerUnaryCall<object, object>, reply: Reply<object>) => {
        this.#answer(reply, ({ wanted }) => ({
          metricValues: [
            { metricName: METRIC_NAME, metricValue: wanted, metricValueFloat: wanted },
          ],
        }));
      },
    };
  }

  /** Ends all streams. */
  close(): void {
    this.#unsubscribe();
    for (const stream of this.#streams) stream.end();
  }

  #answer<T>(reply: Reply<T>, of: (order: FleetOrder) => T): void {
    const { order } = this.#fleet;
    if (order === undefined) {
      reply({ code: status.UNAVAILABLE, details: 'the gateway does not see the swarm yet' });
    } else reply(null, of(order));
  }

  #stream(stream: ServerWritableStream<object, Active>): void {
    if (this.#streams.size >= MAX_STREAMS) {
      const details = `${MAX_STREAMS} streams are open already`;
      stream.destroy(
        Object.assign(new Error(details), { code: status.RESOURCE_EXHAUSTED, details }),
      );
      return;
    }
    this.#streams.add(stream);
    for (const event of ['cancelled', 'close', 'error']) {
      stream.on(event, () => this.#streams.delete(stream));
    }
    const { order } = this.#fleet;
    if (order !== undefined) stream.write(activeOf(order));
  }
}

function activeOf({ wanted }: FleetOrder): Active {
  return { result: wanted > 0 };
}
