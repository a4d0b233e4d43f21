/** A value that must be there for the test to make sense. */
export function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('expected a value, found undefined');
  return value;
}
