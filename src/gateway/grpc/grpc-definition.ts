import { existsSync } from 'node:fs';
import path from 'node:path';
import { loadSync, type PackageDefinition, type ServiceDefinition } from '@grpc/proto-loader';

const PROTOS = ['open_inference.proto', 'health.proto', 'external_scaler.proto'];

/** Where they are: beside this file in a checkout, and where that was in a package, for the build copies none. */
const FOLDERS = [
  import.meta.dirname,
  path.join(import.meta.dirname, '../../../../src/gateway/grpc'),
];

const MAX_INT64 = '9223372036854775807';

/** Full names of the services, as health checks and reflection ask for them. */
export const INFERENCE_SERVICE = 'inference.GRPCInferenceService';
export const HEALTH_SERVICE = 'grpc.health.v1.Health';
export const SCALER_SERVICE = 'externalscaler.ExternalScaler';

/** Reads the messages of all services. 64-bit integers become text, so that none is rounded. */
export function loadDefinitions(): PackageDefinition {
  const files = PROTOS.map((name) => {
    const file = FOLDERS.map((folder) => path.join(folder, name)).find(existsSync);
    if (file === undefined) throw new Error(`${name} of gpu-swarm is missing`);
    return file;
  });
  const definitions = loadSync(files, {
    keepCase: true,
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  });
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
