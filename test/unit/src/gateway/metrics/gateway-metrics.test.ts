import { describe, expect, it } from 'vitest';
import {
  GatewayMetrics,
  type MetricsCompat,
  parseMetricsCompat,
} from '../../../../../src/gateway/metrics/gateway-metrics.ts';
import type { ServedModel } from '../../../../../src/gateway/models/model-directory.ts';
import type { AnsweredRequest } from '../../../../../src/gateway/request-outcome.ts';

const STATE = {
  ready: () => true,
  draining: () => false,
  cacheBytes: () => 0,
  fleet: () => undefined,
};

const model = (name: string, version = '3') => ({ name, version }) as ServedModel;

const ANSWER: AnsweredRequest = {
  protocol: 'rest',
  rows: 8,
  latencyMs: 20,
  requestBytes: 100,
  responseBytes: 50,
  node: { queueMs: 2, executeMs: 5, failedAttempts: 1 },
  cacheMs: undefined,
};

function answer(metrics: GatewayMetrics, of: ServedModel, request = ANSWER): void {
  metrics.begin();
  metrics.began(of);
  metrics.answered(of, request);
}

/** The samples whose names begin so, without their histograms' buckets. */
async function samples(metrics: GatewayMetrics, prefix: string): Promise<string[]> {
  const { text } = await metrics.text();
  return text
    .split('\n')
    .filter((line) => line.startsWith(prefix) && !line.includes('_bucket'))
    .sort();
}

const create = (...compat: MetricsCompat[]) => new GatewayMetrics(STATE, compat);

describe('GatewayMetrics', () => {
  it('have no names but their own unless they are asked for', async () => {
    const metrics = create();
    answer(metrics, model('p/m'));
    expect((await metrics.text()).text).not.toMatch(/^(?:nv_|vllm)/m);
  });

  it("tell the parts of a request, and what is left as the network's", async () => {
    const metrics = create();
    answer(metrics, model('p/m'));
    expect(await samples(metrics, 'swarm_gateway_network_seconds')).toEqual([
      'swarm_gateway_network_seconds_count{model="p/m"} 1',
      'swarm_gateway_network_seconds_sum{model="p/m"} 0.013',
    ]);
    expect(await samples(metrics, 'swarm_gateway_failed_attempts_total')).toEqual([
      'swarm_gateway_failed_attempts_total{model="p/m"} 1',
    ]);
  });

  it('label no more than 512 models, however many there are', async () => {
    const metrics = create('triton', 'vllm');
    for (let index = 0; index < 600; index += 1) answer(metrics, model(`p/m${index}`));
    const [counts, triton, vllm] = await Promise.all(
      ['swarm_gateway_requests_total', 'nv_inference_count', 'vllm:request_success_total'].map(
        (name) => samples(metrics, name),
      ),
    );
    expect(counts).toHaveLength(513);
    expect(counts).toContain(
      'swarm_gateway_requests_total{protocol="rest",model="other",outcome="answered"} 88',
    );
    expect(triton).toHaveLength(513);
    expect(triton).toContain('nv_inference_count{model="other",version=""} 704');
    expect(vllm).toHaveLength(513);
  });

  it("are Triton's too, in microseconds, a failure by its reason", async () => {
    const metrics = create('triton');
    answer(metrics, model('p/m'));
    answer(metrics, model('p/m'), { ...ANSWER, node: undefined, cacheMs: 1 });
    metrics.begin();
    metrics.began(model('p/m'));
    metrics.failed('grpc', model('p/m'), 'unavailable');
    metrics.begin();
    metrics.failed('grpc', undefined, 'not-found');
    metrics.begin();
    metrics.began(model('p/m'));
    expect(await samples(metrics, 'nv_')).toEqual(
      [
        'nv_cache_hit_duration_per_model{model="p/m",version="3"} 1000',
        'nv_cache_num_hits_per_model{model="p/m",version="3"} 1',
        'nv_inference_compute_infer_duration_us{model="p/m",version="3"} 5000',
        'nv_inference_compute_input_duration_us{model="p/m",version="3"} 0',
        'nv_inference_compute_output_duration_us{model="p/m",version="3"} 0',
        'nv_inference_count{model="p/m",version="3"} 8',
        'nv_inference_exec_count{model="p/m",version="3"} 1',
        'nv_inference_pending_request_count{model="p/m",version="3"} 1',
        'nv_inference_queue_duration_us{model="p/m",version="3"} 2000',
        'nv_inference_request_duration_us{model="p/m",version="3"} 40000',
        'nv_inference_request_failure{model="p/m",version="3",reason="REJECTED"} 1',
        'nv_inference_request_success{model="p/m",version="3"} 2',
      ].sort(),
    );
  });

  it("are vLLM's too, of what is no token", async () => {
    const metrics = create('vllm');
    answer(metrics, model('p/m'));
    expect(await samples(metrics, 'vllm:')).toEqual(
      [
        'vllm:e2e_request_latency_seconds_count{model_name="p/m"} 1',
        'vllm:e2e_request_latency_seconds_sum{model_name="p/m"} 0.02',
        'vllm:num_requests_running{model_name="p/m"} 0',
        'vllm:request_inference_time_seconds_count{model_name="p/m"} 1',
        'vllm:request_inference_time_seconds_sum{model_name="p/m"} 0.005',
        'vllm:request_queue_time_seconds_count{model_name="p/m"} 1',
        'vllm:request_queue_time_seconds_sum{model_name="p/m"} 0.002',
        'vllm:request_success_total{model_name="p/m",finished_reason="stop"} 1',
      ].sort(),
    );
  });
});

describe('parseMetricsCompat', () => {
  it('takes each name once, and none that is unknown', () => {
    expect(parseMetricsCompat(['vllm', 'triton', 'vllm'])).toEqual(['vllm', 'triton']);
    expect(() => parseMetricsCompat(['kserve'])).toThrow(/has 'kserve', expected triton or vllm$/);
  });
});
