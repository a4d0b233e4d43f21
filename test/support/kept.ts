import { afterEach } from 'vitest';

/** To be called in a `describe`: returns what hands a thing through and disposes of it when the test is over, the last one first. */
export function keepUntilTestEnds(): <T extends AsyncDisposable>(one: T) => T {
  const stack: AsyncDisposable[] = [];
  afterEach(async () => {
    for (const one of stack.splice(0).toReversed()) await one[Symbol.asyncDispose]();
  });
  return (one) => {
    stack.push(one);
    return one;
  };
}
