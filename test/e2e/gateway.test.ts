import { describe, expect, it } from 'vitest';
import { SwarmProcess } from '../../src/cli/up/swarm-process.ts';
import { addModel } from '../support/models.ts';
import { ownEnvironment } from '../support/own-environment.ts';
import { ProcessSwarm } from '../support/process-swarm.ts';
import { runSwarm } from '../support/swarm-command.ts';

const OFF = ['--grpc', 'off', '--metrics', 'off', '--no-mdns', '--log-level', 'warn', '--json'];

const SUM = JSON.stringify({
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4], data: [1, 2, 3, 4] }],
});

describe('swarm gateway', () => {
  it('serves a swarm of processes, asks for a key once there is one, and fails nobody when it is terminated', async () => {
    await using swarm = await ProcessSwarm.create();
    await swarm.startNode('node-1');
    const { reference } = await swarm.publish('adder', { 'model.onnx': addModel() });
    const data = ['--data', `${swarm.folder}/gateway`];
    const gateway = new SwarmProcess({
      name: 'gateway',
      args: [
        ...['gateway', ...swarm.join, ...data, ...OFF, '--http', '127.0.0.1:0'],
        ...['--require-model', reference, '--drain-delay', '1000'],
      ],
      env: ownEnvironment(),
      cwd: swarm.folder,
    });
    try {
      const { addresses } = await gateway.ready(AbortSignal.timeout(60_000));
      const [http = ''] = addresses;
      const ready = async () => (await fetch(`${http}/v2/health/ready`)).status;
      await expect.poll(ready, { timeout: 30_000 }).toBe(200);
      const headers: Record<string, string> = {};
      const infer = () =>
        fetch(`${http}/v2/models/${reference}/infer`, { method: 'POST', headers, body: SUM });
      expect((await infer()).status).toBe(200);

      const made = await runSwarm(['keys', 'api', 'ci', '--json', ...data]);
      expect(made, made.stderr).toMatchObject({ code: 0, events: [{ event: 'api-key' }] });
      await expect.poll(async () => (await infer()).status).toBe(401);
      headers['authorization'] = `Bearer ${String(made.events[0]?.['key'])}`;
      expect((await infer()).status).toBe(200);

      const failures: unknown[] = [];
      let answered = 0;
      const stream = () =>
        fetch(`${http}/v2/models/${reference}/generate_stream`, {
          ...{ method: 'POST', headers, body: JSON.stringify({ x: [1, 2, 3, 4] }) },
        });
      const worker = async (ask: typeof infer): Promise<void> => {
        for (;;) {
          const response = await ask();
          const text = await response.text();
          if (response.status === 200 && !text.includes('"error"')) answered += 1;
          else failures.push([response.status, text]);
          if ((await ready()) !== 200) return;
        }
      };
      const workers = [worker(infer), worker(infer), worker(stream), worker(stream)];
      await expect.poll(() => answered).toBeGreaterThan(10);
      process.kill(gateway.pid ?? 0, 'SIGTERM');
      await Promise.all(workers);
      expect(failures).toEqual([]);
      expect(await gateway.ended).toBe('exit code 0');
    } finally {
      await gateway.stop();
    }
  });

  it('refuses to be reached from elsewhere without a key', async () => {
    await using swarm = await ProcessSwarm.create();
    const result = await swarm.run([
      ...['gateway', '--http', '0.0.0.0:0', ...OFF],
      ...['--data', `${swarm.folder}/gateway`],
    ]);
    expect(result.code).toBe(2);
    expect(result.events).toMatchObject([
      { event: 'error', code: 'ERR_CONFIG', message: expect.stringContaining('--insecure') },
    ]);
  });
});
