import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import pino from 'pino';
import { expect, it, vi } from 'vitest';
import { startGateway } from '../../../../src/gateway/gateway.ts';
import { refusal } from '../../../support/refusal.ts';

it('A gateway does not start with a hook that nobody could be told by', async () => {
  const starting = startGateway({
    connect: () => Promise.reject(new Error('not asked for')),
    http: { host: '127.0.0.1', port: 0 },
    fleet: { min: 1, max: 2 },
    provision: '/gone/more-machines',
    version: '0.0.0-test',
    logger: pino({ level: 'silent' }),
  });
  await expect(starting).rejects.toEqual(
    refusal('ERR_CONFIG', /^--provision '\/gone\/more-machines' does not exist, expected/),
  );
});

it.each(['http', 'grpc', 'metrics'] as const)(
  'A gateway says which address it cannot listen on, when the port of %s is taken',
  async (server) => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    try {
      const starting = startGateway({
        connect: () => Promise.reject(new Error('not asked for')),
        http: { host: '127.0.0.1', port: 0 },
        [server]: { host: '127.0.0.1', port },
        version: '0.0.0-test',
        logger: pino({ level: 'silent' }),
      });
      await expect(starting).rejects.toMatchObject({
        code: 'ERR_CONFIG',
        message: expect.stringMatching(`^cannot listen on 127.0.0.1:${port}: [^]*EADDRINUSE`),
      });
    } finally {
      other.close();
    }
  },
);

it('A gateway has the gRPC library say in its own log that a port is taken, and not on standard error', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const written = vi.spyOn(console, 'error');
  const lines: string[] = [];
  try {
    const starting = startGateway({
      connect: () => Promise.reject(new Error('not asked for')),
      grpc: { host: '127.0.0.1', port },
      version: '0.0.0-test',
      logger: pino({ level: 'warn' }, { write: (line) => lines.push(line) }),
    });
    await expect(starting).rejects.toThrow('EADDRINUSE');
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { level: 40, msg: expect.stringContaining('No address added') },
    ]);
    expect(written).not.toHaveBeenCalled();
  } finally {
    written.mockRestore();
    other.close();
  }
});
