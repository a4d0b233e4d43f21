import { describe, expect, test } from 'vitest';
import { readScenarios } from '../../../support/scenario.ts';
import { SchedulerStory } from '../../../support/scheduler-story.ts';

describe('VersionQueue', () => {
  for (const { name, steps } of readScenarios('scheduler')) {
    test(`tells the story ${name}`, async () => {
      const story = new SchedulerStory();
      for (const step of steps) {
        expect(await story.run(step), `${name}.txt, line ${step.line}`).toBe(step.expected);
      }
    });
  }
});
