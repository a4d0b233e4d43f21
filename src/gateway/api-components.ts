import type { InferenceService } from './inference-service.ts';
import type { InferenceStatistics } from './metrics/inference-statistics.ts';
import type { ModelDirectory } from './models/model-directory.ts';
import type { ModelRepository } from './models/model-repository.ts';
import type { Readiness } from './readiness.ts';
import type { SwarmAccess } from './swarm-access.ts';

/** What the Open Inference Protocol is answered from, over HTTP and over gRPC. */
export interface ApiComponents {
  readonly access: SwarmAccess;
  readonly directory: ModelDirectory;
  readonly repository: ModelRepository;
  readonly service: InferenceService;
  readonly statistics: InferenceStatistics;
  readonly readiness: Readiness;
  /** What the server says its version is. */
  readonly version: string;
}
