import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ListenAddress } from './listen-address.ts';

const TIMEOUT_MS = 10_000;

/** What Prometheus reads: the metrics as text, and the type to send it as. */
export interface MetricsText {
  text(): Promise<{ readonly type: string; readonly text: string }>;
}

/** Serves `/metrics` on a port of its own, so that what is open to callers need not be open to monitoring, nor the other way round. */
export class MetricsServer {
  readonly #listen: ListenAddress;
  readonly #server: Server;

  constructor(listen: ListenAddress, metrics: MetricsText) {
    this.#listen = listen;
    this.#server = createServer({ requestTimeout: TIMEOUT_MS, headersTimeout: TIMEOUT_MS });
    this.#server.on('request', (request, response) => {
      const path = request.url?.split('?', 1)[0];
      if (path !== '/metrics' || request.method !== 'GET') {
        response.writeHead(404).end();
        return;
      }
      metrics.text().then(
        ({ type, text }) => response.writeHead(200, { 'content-type': type }).end(text),
        () => response.writeHead(500).end(),
      );
    });
  }

  async start(): Promise<ListenAddress> {
    const { host, port } = this.#listen;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, resolve);
    });
    return { host, port: (this.#server.address() as AddressInfo).port };
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}
