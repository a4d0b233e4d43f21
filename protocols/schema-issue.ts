import type { z } from 'zod';
import { quoted } from './quoted.ts';

/** Characters of a path or message that are kept: both can be made of a stranger's text. */
const MAX_CHARACTERS = 240;

const PLAIN_KEY = /^[\w-]{1,64}$/;

/** Something a schema found wrong. */
export interface SchemaIssue {
  /** `files[0].path`, or `''` for the whole. */
  readonly field: string;
  readonly message: string;
}

/** The first thing a schema found wrong, as `field files[0].path: …`. Bounded: values of a stranger are not repeated. */
export function describeSchemaIssue(error: z.ZodError): string {
  const [issue] = listSchemaIssues(error);
  if (issue === undefined) return 'has a wrong form';
  return issue.field === '' ? issue.message : `field ${issue.field}: ${issue.message}`;
}

/** All that a schema found wrong, bounded as in {@link describeSchemaIssue}. */
export function listSchemaIssues(error: z.ZodError): SchemaIssue[] {
  return error.issues.map((issue) => ({
    field: fieldPath(issue.path).slice(0, MAX_CHARACTERS),
    message: fault(issue).slice(0, MAX_CHARACTERS),
  }));
}

/** A path as people write it: `files[0].path`. */
function fieldPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((before, key) => {
    if (typeof key === 'number') return `${before}[${key}]`;
    if (!PLAIN_KEY.test(String(key))) return `${before}[${quoted(String(key))}]`;
    return before === '' ? String(key) : `${before}.${String(key)}`;
  }, '');
}

function fault(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'unrecognized_keys') return issue.message;
  return `unknown key ${issue.keys.map(quoted).join(', ')}`;
}
