import type { ServedModel } from '../models/model-directory.ts';
import type { FailureKind } from '../refusal.ts';
import type { AnsweredRequest } from '../request-outcome.ts';

/** Hears what becomes of requests: each that found its model begins, and ends in one of two ways. */
export interface MetricsListener {
  began(model: ServedModel): void;
  answered(model: ServedModel, request: AnsweredRequest): void;
  failed(model: ServedModel, kind: FailureKind): void;
}
