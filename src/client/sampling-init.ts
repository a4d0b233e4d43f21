import { ConfigError } from '../../protocols/errors.ts';
import { describeOptionsFault, type FieldsOf } from './known-fields.ts';

/** First answers of a node that are all checked: enough that one who lies at every fifth is found by two in three clients. */
export const DEFAULT_FIRST_ANSWERS = 5;

/** Share of a known node's answers that is checked: a liar at one in ten is found within some five hundred. */
export const DEFAULT_SAMPLING_SHARE = 0.02;

/** Checks for each ordinary call at most: where all nodes are new, the swarm is not asked for everything twice. */
export const DEFAULT_SAMPLING_BUDGET = 0.2;

/** Which answers of ordinary calls a client has checked by another owner. */
export interface SamplingInit {
  /** Of a node that is new to this client, so many answers are checked, all of its first ones: 0 to 1000. @default 5 */
  readonly firstAnswers?: number | undefined;
  /** Share of the answers of a node that was found right before: 0 to 1. @default 0.02 */
  readonly share?: number | undefined;
  /** Checks for each ordinary call at most, over time: 0 to 1. What is beyond it goes unchecked, and earns no credit. @default 0.2 */
  readonly budget?: number | undefined;
}

const FIELDS: FieldsOf<SamplingInit> = { firstAnswers: true, share: true, budget: true };

/** {@link SamplingInit} with every default filled in. */
export interface ResolvedSamplingInit {
  readonly firstAnswers: number;
  readonly share: number;
  readonly budget: number;
}

/**
 * Fills in defaults and checks ranges.
 *
 * @throws {ERR_CONFIG} naming the field that is wrong.
 */
export function resolveSamplingInit(init: SamplingInit): ResolvedSamplingInit {
  const fault = describeOptionsFault(init, FIELDS);
  if (fault !== undefined) throw new ConfigError(`sampling: ${fault}`);
  const resolved = {
    firstAnswers: init.firstAnswers ?? DEFAULT_FIRST_ANSWERS,
    share: init.share ?? DEFAULT_SAMPLING_SHARE,
    budget: init.budget ?? DEFAULT_SAMPLING_BUDGET,
  };
  const { firstAnswers } = resolved;
  if (!Number.isInteger(firstAnswers) || firstAnswers < 0 || firstAnswers > 1000) {
    throw new ConfigError(
      `sampling.firstAnswers is ${firstAnswers}, expected an integer from 0 to 1000`,
    );
  }
  for (const field of ['share', 'budget'] as const) {
    const value = resolved[field];
    if (!(value >= 0 && value <= 1)) {
      throw new ConfigError(`sampling.${field} is ${value}, expected a number from 0 to 1`);
    }
  }
  return resolved;
}
