import { describe, expect, it } from 'vitest';
import { ScalingStory } from '../../../../support/scaling-story.ts';
import { readScenarios } from '../../../../support/scenario.ts';

describe('planReplicas', () => {
  for (const { name, steps } of readScenarios('scaling')) {
    it(`tells the story ${name}`, () => {
      const story = new ScalingStory();
      for (const step of steps) {
        expect(story.run(step), `${name}.txt, line ${step.line}`).toBe(step.expected);
      }
    });
  }
});
