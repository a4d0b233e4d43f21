import type { PackageDefinition, ServiceDefinition } from '@grpc/proto-loader';
import { loadProtos } from './proto-files.ts';

/** Where KEDA's messages are, from the package's folder. */
export const SCALER_PROTO = 'src/fleet/external_scaler.proto';

/** Full name of the service, as reflection asks for it. */
export const SCALER_SERVICE = 'externalscaler.ExternalScaler';

/** Reads KEDA's service, and the messages that reflection tells of it. */
export function loadScalerDefinition(): {
  readonly messages: PackageDefinition;
  readonly service: ServiceDefinition;
} {
  const messages = loadProtos([SCALER_PROTO]);
  return { messages, service: messages[SCALER_SERVICE] as ServiceDefinition };
}
