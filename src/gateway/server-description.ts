/** Extensions of the protocol that work here whole; clients branch on this list. */
const EXTENSIONS = [
  'binary_tensor_data',
  'classification',
  'model_configuration',
  'model_repository',
  'parameters',
  'schedule_policy',
  'statistics',
];

export interface ServerMetadataAnswer {
  readonly name: string;
  readonly version: string;
  readonly extensions: readonly string[];
}

/** The server as its metadata tells it. */
export function describeServer(version: string): ServerMetadataAnswer {
  return { name: 'gpu-swarm', version, extensions: EXTENSIONS };
}
