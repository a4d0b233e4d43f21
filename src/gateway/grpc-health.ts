import type {
  sendUnaryData,
  ServerUnaryCall,
  ServerWritableStream,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { INFERENCE_SERVICE } from './grpc-definition.ts';
import type { Readiness } from './readiness.ts';
import { grpcStatus } from './refusal.ts';

/** Watches that are open at once; a prober holds one. */
const MAX_WATCHES = 256;

interface HealthRequest {
  readonly service: string;
}

interface HealthResponse {
  readonly status: 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';
}

type Watch = ServerWritableStream<HealthRequest, HealthResponse>;

/**
 * gRPC's health protocol: serving while the gateway is ready, of the server as a whole and of the inference service by name.
 *
 * @see https://github.com/grpc/grpc/blob/master/doc/health-checking.md
 */
export class GrpcHealth {
  readonly #readiness: Readiness;
  readonly #watches = new Set<Watch>();

  constructor(readiness: Readiness) {
    this.#readiness = readiness;
    readiness.onChange(() => {
      for (const watch of this.#watches) watch.write(this.#statusOf(watch.request));
    });
  }

  /** The methods by the names of the health protocol. */
  get implementation(): UntypedServiceImplementation {
    return {
      Check: (
        { request }: ServerUnaryCall<HealthRequest, HealthResponse>,
        reply: sendUnaryData<HealthResponse>,
      ) => {
        const response = this.#statusOf(request);
        if (response.status !== 'SERVICE_UNKNOWN') return reply(null, response);
        const details = `service '${request.service.slice(0, 80)}' is unknown`;
        reply({ code: grpcStatus('not-found'), details });
      },
      Watch: (watch: Watch) => {
        if (this.#watches.size >= MAX_WATCHES) {
          const details = `${MAX_WATCHES} watches are open, expected fewer`;
          watch.emit('error', { code: grpcStatus('exhausted'), details });
          return;
        }
        this.#watches.add(watch);
        watch.once('close', () => this.#watches.delete(watch));
        watch.once('cancelled', () => this.#watches.delete(watch));
        watch.write(this.#statusOf(watch.request));
      },
    };
  }

  /** Ends all watches: each was told already that nothing serves. */
  close(): void {
    const status = { code: grpcStatus('unavailable'), details: 'the gateway is draining' };
    for (const watch of this.#watches) watch.emit('error', status);
    this.#watches.clear();
  }

  #statusOf({ service }: HealthRequest): HealthResponse {
    if (service !== '' && service !== INFERENCE_SERVICE) return { status: 'SERVICE_UNKNOWN' };
    return { status: this.#readiness.ready ? 'SERVING' : 'NOT_SERVING' };
  }
}
