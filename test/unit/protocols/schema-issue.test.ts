import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { describeSchemaIssue, listSchemaIssues } from '../../../protocols/schema-issue.ts';
import { present } from '../../support/present.ts';

function describeFault(schema: z.ZodType, value: unknown): string {
  const { error } = schema.safeParse(value);
  return describeSchemaIssue(present(error));
}

describe('describeSchemaIssue', () => {
  const schema = z.strictObject({
    files: z.array(z.object({ path: z.string() })).optional(),
    channels: z.record(z.string().max(200), z.int()).optional(),
  });

  it('names the field as one would write it', () => {
    expect(describeFault(schema, { files: [{ path: 'a' }, { path: 1 }] })).toMatch(
      /^field files\[1\]\.path: .*expected string/,
    );
    expect(describeFault(schema, { channels: { stable: 'x' } })).toMatch(
      /^field channels\.stable: .*expected/,
    );
  });

  it('has no field to name when the whole is wrong', () => {
    expect(describeFault(schema, 5)).toBe('Invalid input: expected object, received number');
  });

  it('names unknown keys', () => {
    expect(describeFault(schema, { file: 1, chanels: 2 })).toBe("unknown key 'file', 'chanels'");
  });

  it('puts a stranger’s key into quotes, without line ends and cut short', () => {
    expect(describeFault(schema, { channels: { 'a\nERROR b': 'x' } })).toMatch(
      /^field channels\['a\ufffdERROR b'\]: /,
    );
    expect(describeFault(schema, { channels: { ['x'.repeat(200)]: 'x' } })).toMatch(
      /^field channels\['x{64}…'\]: /,
    );
    const keys = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`key-${index}`, 1]));
    expect(describeFault(schema, keys).length).toBe(240);
  });
});

describe('listSchemaIssues', () => {
  it('lists everything that is wrong, each with its field', () => {
    const schema = z.strictObject({ a: z.int(), b: z.object({ c: z.string() }) });
    const { error } = schema.safeParse({ a: 'x', b: { c: 1 }, d: 2 });
    expect(listSchemaIssues(present(error)).map(({ field }) => field)).toEqual(['a', 'b.c', '']);
    expect(listSchemaIssues(present(error))[2]?.message).toBe("unknown key 'd'");
  });
});
