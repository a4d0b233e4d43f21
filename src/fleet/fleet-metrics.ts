import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { MetricsText } from '../swarm/metrics-server.ts';
import type { FleetOrder } from './fleet-sizer.ts';

/** Has a registry tell how many nodes there are and are to be; `order` gives undefined while nobody can say. */
export function registerFleetGauges(registry: Registry, order: () => FleetOrder | undefined): void {
  for (const [name, help, field] of [
    ['swarm_nodes_wanted', 'Nodes that there are to be, by demand.', 'wanted'],
    ['swarm_nodes_present', 'Nodes that are there and stay.', 'present'],
  ] as const) {
    const gauge: Gauge = new Gauge({
      name,
      help,
      registers: [registry],
      // No number says more than a wrong one: whoever scales by it then leaves all as it is.
      collect: () => gauge.set(order()?.[field] ?? Number.NaN),
    });
  }
}

/** The metrics of a server that tells of the fleet and of its own process alone. */
export function createFleetMetrics(order: () => FleetOrder | undefined): MetricsText {
  const registry = new Registry();
  registerFleetGauges(registry, order);
  collectDefaultMetrics({ register: registry });
  return {
    text: async () => ({ type: registry.contentType, text: await registry.metrics() }),
  };
}
