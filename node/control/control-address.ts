import path from 'node:path';
import { digestText, sha256 } from '../../protocols/digest.ts';

/** Bytes of a socket's path: macOS takes 103, Linux 107. */
const MAX_SOCKET_PATH_BYTES = 103;

/**
 * Where the node of a data folder listens for its owner: a socket in the folder, which only its user may enter, or a named
 * pipe. Undefined when the folder's path is too long for one.
 */
export function controlAddress(dataDir: string, platform = process.platform): string | undefined {
  if (platform === 'win32') {
    const name = digestText(sha256(new TextEncoder().encode(path.resolve(dataDir).toLowerCase())));
    return `\\\\.\\pipe\\gpu-swarm-${name.slice(0, 32)}`;
  }
  const socket = path.join(path.resolve(dataDir), 'control.sock');
  return Buffer.byteLength(socket) <= MAX_SOCKET_PATH_BYTES ? socket : undefined;
}
