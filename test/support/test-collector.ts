import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A span as OTLP has it, with what tests look for. */
export interface CollectedSpan {
  readonly service: string;
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  /** By key, as OTLP writes values. */
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly status?: { readonly code: number; readonly message: string };
}

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

interface Message {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly {
      readonly spans: readonly (Omit<CollectedSpan, 'attributes'> & {
        attributes: readonly Attribute[];
      })[];
    }[];
  }[];
}

/** An OpenTelemetry collector on a free port, that keeps what it gets, or refuses it. */
export class TestCollector implements AsyncDisposable {
  readonly spans: CollectedSpan[] = [];
  /** Spans of each message. */
  readonly batches: number[] = [];
  /** Messages that came, whatever became of them. */
  asked = 0;
  /** Status of its answers; undefined for none. */
  status: number | undefined = 200;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const { status } = this;
      this.asked += 1;
      if (status === undefined) return;
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.once('end', () => {
        if (request.url === '/v1/traces' && status === 200) {
          this.#keep(JSON.parse(Buffer.concat(chunks).toString()) as Message);
        }
        response.writeHead(request.url === '/v1/traces' ? status : 404).end('{}');
      });
    });
  }

  static async start(): Promise<TestCollector> {
    const collector = new TestCollector();
    await new Promise<void>((resolve) => collector.#server.listen(0, '127.0.0.1', resolve));
    return collector;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #keep({ resourceSpans }: Message): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const service = String(valuesOf(resource.attributes)['service.name']);
      for (const { spans } of scopeSpans) {
        this.batches.push(spans.length);
        this.spans.push(
          ...spans.map((span) => ({ ...span, service, attributes: valuesOf(span.attributes) })),
        );
      }
    }
  }
}

function valuesOf(attributes: readonly Attribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
