import { SwarmProcess } from '../../src/cli/up/swarm-process.ts';
import { ownEnvironment } from '../support/own-environment.ts';
import type { ProcessSwarm } from '../support/process-swarm.ts';

const START_TIMEOUT_MS = 60_000;

const LOOK_INTERVAL_MS = 100;

/** A gateway of the load, a process of its own; ends with its scope. */
export class LoadGateway implements AsyncDisposable {
  /** `http://127.0.0.1:<port>` */
  readonly http: string;
  readonly #process: SwarmProcess;

  /** Resolves when every one of these models is served. */
  static async start(
    swarm: ProcessSwarm,
    models: readonly { readonly reference: string }[],
  ): Promise<LoadGateway> {
    const gateway = new SwarmProcess({
      name: 'gateway',
      args: [
        ...['gateway', ...swarm.join, '--no-mdns', '--log-level', 'warn', '--json'],
        ...['--data', `${swarm.folder}/gateway`, '--http', '127.0.0.1:0'],
        ...['--grpc', 'off', '--metrics', 'off'],
        ...models.flatMap(({ reference }) => ['--require-model', reference]),
      ],
      env: ownEnvironment(),
      cwd: swarm.folder,
    });
    const signal = AbortSignal.timeout(START_TIMEOUT_MS);
    try {
      const { addresses } = await gateway.ready(signal);
      const [http = ''] = addresses;
      while ((await fetch(`${http}/v2/health/ready`, { signal })).status !== 200) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_INTERVAL_MS));
      }
      return new LoadGateway(http, gateway);
    } catch (error) {
      await gateway.stop();
      throw error;
    }
  }

  private constructor(http: string, gateway: SwarmProcess) {
    this.http = http;
    this.#process = gateway;
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Resolves with the way it ended. */
  get ended(): Promise<string> {
    return this.#process.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop();
  }
}
