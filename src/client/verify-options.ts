import { InvalidInputError } from '../../protocols/errors.ts';
import { MAX_VERIFY_REPLICAS, type VerificationRule } from '../policy/verification.ts';
import { describeOptionsFault, type FieldsOf } from './known-fields.ts';

/** How a call is checked: by so many owners, or with fewer where there are not as many. */
export type VerifyOptions = number | VerifyRule;

interface VerifyRule {
  /** Answers of different owners that must agree: 2 to 7. More are asked while some disagree, up to twice as many less one. */
  readonly replicas: number;
  /** Owners without whose answers the call fails, where not as many can be asked: 1 to `replicas`. @default `replicas` */
  readonly atLeast?: number | undefined;
}

const FIELDS: FieldsOf<VerifyRule> = { replicas: true, atLeast: true };

/**
 * Fills in the default and checks ranges.
 *
 * @throws {ERR_INVALID_INPUT} naming the field that is wrong.
 */
export function resolveVerifyOptions(verify: VerifyOptions): VerificationRule {
  const rule: VerifyRule = typeof verify === 'number' ? { replicas: verify } : verify;
  const fault = describeOptionsFault(rule, FIELDS);
  if (fault !== undefined) throw new InvalidInputError(`infer option verify: ${fault}`);
  const { replicas, atLeast = replicas } = rule;
  checkRange('verify.replicas', replicas, 2, MAX_VERIFY_REPLICAS);
  checkRange('verify.atLeast', atLeast, 1, replicas);
  return { replicas, atLeast };
}

function checkRange(field: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new InvalidInputError(
    `infer option ${field}: expected an integer from ${min} to ${max}, found ${String(value)}`,
  );
}
