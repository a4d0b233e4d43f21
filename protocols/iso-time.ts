/** A time for people, as `2026-11-27T07:00:00.000Z`; one that no calendar has, which a stranger may sign, stays a number. */
export function isoTime(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString();
}
