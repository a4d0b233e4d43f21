import { describe, expect, it, vi } from 'vitest';
import { formatAddress, type ListenAddress } from '../../src/swarm/listen-address.ts';
import { Tensor } from '../../src/index.ts';
import { addModel } from '../support/models.ts';
import { present } from '../support/present.ts';
import { createTestnet } from '../support/testnet.ts';

const WAIT = { timeout: 30_000, interval: 50 };
const LOOPBACK: ListenAddress = { host: '127.0.0.1', port: 0 };
const x = Tensor.from('FP32', [1, 4], [1, 2, 3, 4]);

describe('The metrics of a node', () => {
  it('tell Prometheus of its requests, its memory and what the swarm wants, until it stops', async () => {
    await using testnet = await createTestnet({
      ...{ nodes: 1, clients: 1 },
      node: { metrics: LOOPBACK, scaling: { tickMs: 500 }, maxRequestBytes: 64 },
    });
    const [node, client] = [present(testnet.nodes[0]), present(testnet.clients[0])];
    const url = `http://${formatAddress(present(node.metricsAddress))}/metrics`;
    const read = async (): Promise<string> => (await fetch(url)).text();
    const { publisher, cid } = await testnet.publish(addModel(1), {
      ...{ name: 'add', replicas: 1 },
      files: { 'swarm.json': JSON.stringify({ deployment: { minReplicas: 3 } }) },
    });
    const ref = `${publisher}/add`;
    const labels = `model="${ref}",version="${cid}"`;
    for (let count = 0; count < 3; count += 1) await client.infer(ref, { x });
    const large = Tensor.from('FP32', [8, 4], new Float32Array(32));
    await expect(client.infer(ref, { x: large })).rejects.toMatchObject({ code: 'ERR_LIMIT' });
    const text = await read();
    for (const sample of [
      `swarm_node_requests_total{${labels},outcome="answered"} 3`,
      `swarm_node_queue_seconds_count{${labels}} 3`,
      `swarm_node_execute_seconds_count{${labels}} 3`,
      `swarm_node_requests_in_flight{${labels}} 0`,
      `swarm_node_requests_queued{${labels}} 0`,
      'swarm_node_replicas{state="ready"} 1',
    ]) {
      expect(text.split('\n')).toContain(sample);
    }
    expect(text).toContain(`swarm_node_requests_total{${labels},outcome="too-large"}`);
    expect(text).toMatch(/^swarm_node_memory_used_bytes\{pool="host"\} [1-9]\d+$/m);
    expect(text).toMatch(/^swarm_node_memory_limit_bytes\{pool="host"\} [1-9]\d+$/m);
    expect(text).toMatch(/^process_resident_memory_bytes [1-9]/m);
    // Peer ids are nobody's label but the publisher's.
    expect(text).not.toContain(node.id);
    await vi.waitFor(async () => {
      const plan = (await read()).split('\n');
      expect(plan).toContain(`swarm_replicas_desired{${labels}} 3`);
      expect(plan).toContain(`swarm_replicas_have{${labels}} 1`);
      const reason = 'reason="not-accepting"';
      expect(plan).toContain(`swarm_replicas_unplaceable{${labels},${reason}} 2`);
    }, WAIT);
    await node.stop();
    await expect(fetch(url)).rejects.toThrow('fetch failed');
  });

  it('are off unless they are asked for', async () => {
    await using testnet = await createTestnet({ nodes: 1, clients: 0 });
    expect(present(testnet.nodes[0]).metricsAddress).toBeUndefined();
  });
});
