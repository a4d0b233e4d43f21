import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { quoted } from '../../../protocols/quoted.ts';

describe('quoted', () => {
  it('shows 64 characters and says when there are more', () => {
    expect(quoted('x'.repeat(64))).toBe(`'${'x'.repeat(64)}'`);
    expect(quoted('x'.repeat(65))).toBe(`'${'x'.repeat(64)}…'`);
  });

  it('keeps text of any script and nothing that could forge a line', () => {
    expect(quoted('вход 入力 ż')).toBe("'вход 入力 ż'");
    expect(quoted('a\r\n\u001b[31mb\u0085\u2028')).toBe("'a\ufffd\ufffd\ufffd[31mb\ufffd\ufffd'");
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(quoted(text)).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
      }),
    );
  });
});
