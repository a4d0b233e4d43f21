import {
  type Metadata,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { FleetOrder, FleetSizer } from './fleet-sizer.ts';

/** What KEDA knows the number by. */
const METRIC_NAME = 'swarm_nodes_wanted';

/** Pods by which KEDA's autoscaler divides the number: it is an absolute one. */
const TARGET = 1;

/** Streams that are open at once; KEDA holds one for each object that it scales. */
const MAX_STREAMS = 64;

type Reply<T> = sendUnaryData<T>;
type Call<T> = ServerUnaryCall<object, T>;
type ActiveStream = ServerWritableStream<object, Active>;

export interface ExternalScalerInit {
  /** Sees each call before it is answered, to add to what the answer begins with. @default nothing is added */
  readonly onCall?: ((call: AnswerableCall) => void) | undefined;
}

/** A call of either kind, as far as its metadata go. */
export interface AnswerableCall {
  readonly metadata: Metadata;
  sendMetadata(metadata: Metadata): void;
}

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
  readonly #fleet: Pick<FleetSizer, 'order' | 'onLook'>;
  readonly #onCall: (call: AnswerableCall) => void;
  /** What each stream was told last; undefined before the first time. */
  readonly #streams = new Map<ActiveStream, boolean | undefined>();
  readonly #unsubscribe: () => void;

  constructor(
    fleet: Pick<FleetSizer, 'order' | 'onLook'>,
    { onCall = () => {} }: ExternalScalerInit = {},
  ) {
    this.#fleet = fleet;
    this.#onCall = onCall;
    this.#unsubscribe = fleet.onLook((order) => {
      for (const stream of this.#streams.keys()) this.#tell(stream, order);
    });
  }

  get implementation(): UntypedServiceImplementation {
    return {
      IsActive: (call: Call<Active>, reply: Reply<Active>) => {
        this.#answer(call, reply, activeOf);
      },
      StreamIsActive: (stream: ActiveStream) => this.#stream(stream),
      GetMetricSpec: (call: Call<object>, reply: Reply<object>) => {
        this.#onCall(call);
        const spec = { metricName: METRIC_NAME, targetSize: TARGET, targetSizeFloat: TARGET };
        reply(null, { metricSpecs: [spec] });
      },
      GetMetrics: (call: Call<object>, reply: Reply<object>) => {
        this.#answer(call, reply, ({ wanted }) => ({
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
    const draining = { code: status.UNAVAILABLE, details: 'the server is draining' };
    for (const stream of this.#streams.keys()) stream.emit('error', draining);
    this.#streams.clear();
  }

  #answer<T>(call: Call<T>, reply: Reply<T>, of: (order: FleetOrder) => T): void {
    this.#onCall(call);
    const { order } = this.#fleet;
    if (order === undefined) {
      reply({ code: status.UNAVAILABLE, details: 'nobody of the swarm is seen yet' });
    } else reply(null, of(order));
  }

  #stream(stream: ActiveStream): void {
    this.#onCall(stream);
    if (this.#streams.size >= MAX_STREAMS) {
      const details = `${MAX_STREAMS} streams are open, expected fewer`;
      stream.emit('error', { code: status.RESOURCE_EXHAUSTED, details });
      return;
    }
    this.#streams.set(stream, undefined);
    for (const event of ['cancelled', 'close', 'error']) {
      stream.on(event, () => this.#streams.delete(stream));
    }
    const { order } = this.#fleet;
    if (order !== undefined) this.#tell(stream, order);
  }

  /** Writes what has changed; one that does not read hears of it at a later look. */
  #tell(stream: ActiveStream, order: FleetOrder): void {
    const active = activeOf(order);
    if (this.#streams.get(stream) === active.result || stream.writableNeedDrain) return;
    this.#streams.set(stream, active.result);
    stream.write(active);
  }
}

function activeOf({ wanted }: FleetOrder): Active {
  return { result: wanted > 0 };
}
