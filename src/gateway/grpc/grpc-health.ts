import type {
  Metadata,
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
  status,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { RestrictedGroups } from '../access/restricted-groups.ts';
import type { Readiness } from '../readiness.ts';
import { failureOf, grpcStatus } from '../refusal.ts';
import { INFERENCE_SERVICE } from './grpc-definition.ts';
import { answerRequestId } from './grpc-request-id.ts';
import { checkRead } from './unread-message.ts';

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
  readonly #restricted: RestrictedGroups;
  readonly #watches = new Set<Watch>();

  constructor(readiness: Readiness, restricted: RestrictedGroups) {
    this.#readiness = readiness;
    this.#restricted = restricted;
    readiness.onChange(() => {
      for (const watch of this.#watches) watch.write(this.#statusOf(watch.request));
    });
  }

  /** The methods by the names of the health protocol. */
  get implementation(): UntypedServiceImplementation {
    return {
      Check: (
        call: ServerUnaryCall<HealthRequest, HealthResponse>,
        reply: sendUnaryData<HealthResponse>,
      ) => {
        answerRequestId(call);
        const { request, metadata } = call;
        const refused = this.#refusal(metadata, request);
        if (refused !== undefined) return reply(refused);
        const response = this.#statusOf(request);
        if (response.status !== 'SERVICE_UNKNOWN') return reply(null, response);
        const details = `service '${request.service.slice(0, 80)}' is unknown`;
        reply({ code: grpcStatus('not-found'), details });
      },
      Watch: (watch: Watch) => {
        answerRequestId(watch);
        const refused = this.#refusal(watch.metadata, watch.request);
        if (refused !== undefined) {
          watch.emit('error', refused);
          return;
        }
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

  #refusal(
    metadata: Metadata,
    request: HealthRequest,
  ): { code: status; details: string } | undefined {
    try {
      this.#restricted.checkGrpc('health', (key) => metadata.get(key).map(String)[0]);
      checkRead(request);
      return undefined;
    } catch (error) {
      const { kind, message } = failureOf(error);
      return { code: grpcStatus(kind), details: message };
    }
  }

  #statusOf({ service }: HealthRequest): HealthResponse {
    if (service !== '' && service !== INFERENCE_SERVICE) return { status: 'SERVICE_UNKNOWN' };
    return { status: this.#readiness.ready ? 'SERVING' : 'NOT_SERVING' };
  }
}
