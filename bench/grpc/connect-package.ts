import { execFile } from 'node:child_process';
import type { IncomingMessage, ServerResponse } from 'node:http';
import path from 'node:path';
import { promisify } from 'node:util';
import { PeerPackages } from '../peer-packages.ts';

const CONNECT = new PeerPackages({
  name: 'bench-connect',
  packages: [
    '@connectrpc/connect@2.3.0',
    '@connectrpc/connect-node@2.3.0',
    '@bufbuild/protobuf@2.17.0',
    '@bufbuild/buf@1.75.0',
  ],
  entry: `export { connectNodeAdapter } from '@connectrpc/connect-node';
export { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
export { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
`,
});

/** Installs Connect where that was not done before. @throws what npm says, where the registry cannot be reached for one. */
export async function installConnect(signal: AbortSignal): Promise<void> {
  await CONNECT.install(signal);
}

/** What is used of Connect. */
export interface ConnectPackage {
  readonly connectNodeAdapter: (options: {
    readonly routes: (router: ConnectRouter) => void;
    readonly readMaxBytes: number;
    readonly writeMaxBytes: number;
  }) => (request: IncomingMessage, response: ServerResponse) => void;
  readonly createFileRegistry: (set: object) => { getService(name: string): object | undefined };
  readonly fromBinary: (schema: object, bytes: Uint8Array) => object;
  readonly FileDescriptorSetSchema: object;
}

interface ConnectRouter {
  service(service: object, implementation: Readonly<Record<string, unknown>>): void;
}

export async function loadConnect(): Promise<ConnectPackage> {
  return (await CONNECT.load()) as ConnectPackage;
}

const PROTO = path.join(import.meta.dirname, '../../src/gateway/grpc/open_inference.proto');

/** The gateway's messages as a FileDescriptorSet: those that grpc-js's loader has leave names of types to be resolved. */
export async function compileMessages(): Promise<Uint8Array> {
  const compiler = path.join(CONNECT.folder, 'node_modules/.bin/buf');
  const { stdout } = await promisify(execFile)(compiler, ['build', PROTO, '-o', '-'], {
    encoding: 'buffer',
  });
  return stdout;
}
