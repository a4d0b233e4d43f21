import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { packageFileJsonSchema } from '../../../../src/model/package-schema.ts';

const root = new URL('../../../../', import.meta.url);

describe('packageFileJsonSchema', () => {
  it('is what docs/schema/swarm.schema.json holds: else run npm run generate', () => {
    const written = readFileSync(new URL('docs/schema/swarm.schema.json', root), 'utf8');
    expect(JSON.parse(written)).toEqual(packageFileJsonSchema());
  });

  it('knows every key and lets no other pass, at the top and within', () => {
    const schema = packageFileJsonSchema() as {
      properties: Record<string, { properties?: object; additionalProperties?: boolean }>;
      additionalProperties: boolean;
    };
    expect(Object.keys(schema.properties)).toEqual([
      '$schema',
      'entry',
      'metadata',
      'deployment',
      'preprocessing',
      'classLabels',
      'answer',
      'embedding',
      'golden',
      'tolerance',
    ]);
    expect(schema.additionalProperties).toBe(false);
    expect(schema.properties['deployment']?.additionalProperties).toBe(false);
    expect(Object.keys(schema.properties['deployment']?.properties ?? {})).toContain('session');
  });

  it('is named where packages are explained', () => {
    const page = readFileSync(new URL('docs/protocols/manifest.md', root), 'utf8');
    expect(page).toContain('(../schema/swarm.schema.json)');
  });
});
