import { expect } from 'vitest';
import type { ErrorCode } from '../../protocols/errors.ts';

/** Matches an error by its code and its whole message, or by what a pattern finds in it. */
export function refusal(code: ErrorCode, message: string | RegExp): unknown {
  const pattern = typeof message === 'string' ? `^${escape(message)}$` : message;
  return expect.objectContaining({ code, message: expect.stringMatching(pattern) });
}

function escape(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}
