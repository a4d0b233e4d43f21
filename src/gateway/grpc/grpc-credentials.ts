import { ServerCredentials } from '@grpc/grpc-js';
import type { TlsFiles } from '../access/tls-files.ts';

/** TLS for the gRPC server with a certificate that may change while it serves; the library's own takes one for good. */
export class ReloadedCredentials extends ServerCredentials {
  constructor(files: TlsFiles) {
    super({}, { ...files.pair });
    files.onChange(() => this.updateSecureContextOptions({ ...files.pair }));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}
