import { describe, expect, it } from 'vitest';
import { storeFailure } from '../../../../node/store/store-failure.ts';
import { CorruptError } from '../../../../protocols/errors.ts';
import { refusal } from '../../../support/refusal.ts';

const systemError = (code: string): Error => Object.assign(new Error('write'), { code });

describe('storeFailure', () => {
  it.each([
    ['ENOSPC', 'x cannot be written: the disk is full, free some room (ENOSPC)'],
    ['EROFS', 'x cannot be written: the disk is mounted read-only (EROFS)'],
    ['EWHATEVER', 'x cannot be written: EWHATEVER'],
  ])('says what to do about %s where that is known', (code, message) => {
    const cause = systemError(code);
    const failure = storeFailure('x cannot be written', cause);
    expect(failure).toEqual(refusal('ERR_STORE', message));
    expect(failure).toMatchObject({ cause, details: { reason: code } });
  });

  it('leaves an error of ours as it is', () => {
    const error = new CorruptError('damaged');
    expect(storeFailure('x cannot be read', error)).toBe(error);
  });

  it('takes whatever was thrown', () => {
    expect(storeFailure('x', 'odd')).toEqual(refusal('ERR_STORE', 'x: odd'));
    expect(storeFailure('x', new Error('odd'))).toEqual(refusal('ERR_STORE', 'x: odd'));
  });
});
