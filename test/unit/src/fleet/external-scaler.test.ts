import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { ExternalScaler } from '../../../../src/fleet/external-scaler.ts';
import type { FleetOrder } from '../../../../src/fleet/fleet-sizer.ts';
import { loadScalerDefinition } from '../../../../src/fleet/scaler-definition.ts';
import { answerRequestId } from '../../../../src/gateway/grpc/grpc-request-id.ts';
import { GrpcCaller } from '../../../support/grpc-caller.ts';

const OBJECT = { name: 'nodes', namespace: 'swarm', scalerMetadata: {} };
const MAX_STREAMS = 64;

/** A scaler on a port of loopback, whose fleet looks when it is told to. */
async function serve() {
  const listeners = new Set<(order: FleetOrder) => void>();
  const fleet = {
    order: { present: 1, wanted: 1 },
    onLook: (listener: (order: FleetOrder) => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const scaler = new ExternalScaler(fleet, { onCall: answerRequestId });
  const server = new Server();
  server.addService(loadScalerDefinition().service, scaler.implementation);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const caller = new GrpcCaller(`127.0.0.1:${port}`);
  const look = (wanted: number): void => {
    fleet.order = { present: 1, wanted };
    for (const listener of listeners) listener(fleet.order);
  };
  return {
    ...{ scaler, caller, look },
    async [Symbol.asyncDispose]() {
      caller[Symbol.dispose]();
      server.forceShutdown();
    },
  };
}

describe('ExternalScaler', () => {
  it('streams whether anything is wanted when that changes, and nothing else', async () => {
    await using swarm = await serve();
    const stream = swarm.caller.watch('StreamIsActive', OBJECT)[Symbol.asyncIterator]();
    expect((await stream.next()).value).toEqual({ result: true });
    for (const wanted of [2, 3, 0, 0, 4]) swarm.look(wanted);
    expect((await stream.next()).value).toEqual({ result: false });
    expect((await stream.next()).value).toEqual({ result: true });
  });

  it('refuses a stream beyond the most that may be open', async () => {
    await using swarm = await serve();
    const open = () => swarm.caller.watch('StreamIsActive', OBJECT)[Symbol.asyncIterator]();
    for (let index = 0; index < MAX_STREAMS; index += 1) await open().next();
    await expect(open().next()).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
      details: '64 streams are open, expected fewer',
    });
  });

  it('ends its streams with a status that says to come again', async () => {
    await using swarm = await serve();
    const stream = swarm.caller.watch('StreamIsActive', OBJECT)[Symbol.asyncIterator]();
    await stream.next();
    swarm.scaler.close();
    await expect(stream.next()).rejects.toMatchObject({
      code: status.UNAVAILABLE,
      details: 'the server is draining',
    });
  });

  it('answers with a request id, the own one of a caller that gives it', async () => {
    await using swarm = await serve();
    const metadata = { 'x-request-id': 'asked-1' };
    for (const method of ['IsActive', 'GetMetricSpec', 'GetMetrics']) {
      expect(await swarm.caller.requestId(method, OBJECT, { metadata })).toBe('asked-1');
    }
  });
});
