import { describe, expect, it } from 'vitest';
import { listTrees } from '../harness/nextcloud-tree.ts';
import { plannedFor, whyNotPlanned } from './life-plan.ts';
import { runSnapLife, snapLifeObstacle, snapStepNames } from './snap-life.ts';

const trees = listTrees();
const planned = plannedFor('snap', trees);
const thorough = process.env.LATCHKEY_THOROUGH === '1';
const reason = whyNotPlanned(planned, trees) ?? snapLifeObstacle();

describe('the life of a snap with Latchkey', () => {
  if (reason !== null) it.skip(`is lived (skipped: ${reason})`, () => undefined);
  else {
    it.each(planned)('is lived from $version through a refresh to stock again', { timeout: 900_000 }, async (tree) => {
      const result = await runSnapLife({ tree, trees, thorough });
      expect(result.steps.filter((step) => step.outcome !== 'passed')).toEqual([]);
      expect(result.steps.length).toBe(snapStepNames.length - (thorough ? 0 : 1));
      expect(result.left).toEqual([]);
    });
  }
});
