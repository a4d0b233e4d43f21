import type { PackageDefinition, ServiceDefinition } from '@grpc/proto-loader';
import { loadProtos } from '../../fleet/proto-files.ts';
import { SCALER_PROTO } from '../../fleet/scaler-definition.ts';

const PROTOS = [
  'src/gateway/grpc/open_inference.proto',
  'src/gateway/grpc/health.proto',
  SCALER_PROTO,
];

const MAX_INT64 = '9223372036854775807';

/** Full names of the services, as health checks and reflection ask for them. */
export const INFERENCE_SERVICE = 'inference.GRPCInferenceService';
export const HEALTH_SERVICE = 'grpc.health.v1.Health';

/** Reads the messages of all services. 64-bit integers become text, so that none is rounded. */
export function loadDefinitions(): PackageDefinition {
  const definitions = loadProtos(PROTOS);
  checkExact(definitions);
  return definitions;
}

/** Where its library of 64-bit integers cannot be loaded, the library of messages rounds them and says nothing. */
function checkExact(definitions: PackageDefinition): void {
  const { ModelInfer } = definitions[INFERENCE_SERVICE] as ServiceDefinition;
  const sent = { inputs: [{ shape: [MAX_INT64] }] };
  const read = ModelInfer?.requestDeserialize(ModelInfer.requestSerialize(sent)) as typeof sent;
  if (read.inputs[0]?.shape[0] === MAX_INT64) return;
  throw new Error('64-bit integers of gRPC would be rounded: the package long cannot be loaded');
}
