import type { z } from 'zod';

/** The first thing a schema found wrong, as `field files[0].path: …`. Bounded: values of a stranger are not repeated. */
export function describeSchemaIssue(error: z.ZodError): string {
  const [issue] = error.issues;
  if (issue === undefined) return 'has a wrong form';
  const path = issue.path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : `${text}.${String(key)}`),
    '',
  );
  const field = path.startsWith('.') ? path.slice(1) : path;
  const message = issue.message.slice(0, 240);
  return field === '' ? message : `field ${field.slice(0, 240)}: ${message}`;
}
