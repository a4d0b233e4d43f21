import { once } from 'node:events';
import { get } from 'node:https';
import { connect } from 'node:tls';
import { credentials } from '@grpc/grpc-js';
import { expect, it } from 'vitest';
import { GrpcCaller } from '../support/grpc-caller.ts';
import { certificateFiles, writeCertificate } from '../support/test-certificate.ts';
import { createTestFolder } from '../support/test-folder.ts';
import { startTestGateway } from '../support/test-gateway.ts';

/** No certificate of a test is anybody's. */
const UNTRUSTED = { rejectUnauthorized: false };

async function fingerprintAt(address: string, alpn: string): Promise<string> {
  const [host, port] = address.split(':');
  const socket = connect({
    ...UNTRUSTED,
    host: String(host),
    port: Number(port),
    ALPNProtocols: [alpn],
  });
  await once(socket, 'secureConnect');
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

it('A gateway shows a certificate over HTTP and gRPC, and the new one when it is renewed', async () => {
  await using folder = await createTestFolder();
  const tls = certificateFiles(folder.path);
  const first = await writeCertificate(tls);
  await using gateway = await startTestGateway(
    { network: 'tls', bootstrapAddresses: [] },
    { wait: false, tls, connect: () => Promise.reject(new Error('nobody there')) },
  );
  const http = gateway.http.replace('http://', '');
  const seen = async () => [
    await fingerprintAt(http, 'http/1.1'),
    await fingerprintAt(gateway.grpc, 'h2'),
  ];
  expect(await seen()).toEqual([first.fingerprint, first.fingerprint]);

  const [response] = await once(get(`https://${http}/v2/health/live`, UNTRUSTED), 'response');
  expect(response).toMatchObject({ statusCode: 200 });
  response.resume();
  using caller = new GrpcCaller(
    gateway.grpc,
    credentials.createSsl(null, null, null, {
      ...UNTRUSTED,
      checkServerIdentity: () => undefined,
    }),
  );
  expect(await caller.call('ServerLive', {})).toEqual({ live: true });
  await expect(fetch(`${gateway.http}/v2/health/live`)).rejects.toThrow('fetch failed');

  const second = await writeCertificate(tls);
  await expect
    .poll(seen, { timeout: 20_000, interval: 200 })
    .toEqual([second.fingerprint, second.fingerprint]);
  expect(await caller.call('ServerLive', {})).toEqual({ live: true });
});
