import { describe, expect, it } from 'vitest';
import { listTrees } from '../harness/nextcloud-tree.ts';
import { containerLifeObstacle, runContainerLife } from './container-life.ts';
import { plannedFor, whyNotPlanned } from './life-plan.ts';

const trees = listTrees();
const planned = plannedFor('container', trees);
const reason = whyNotPlanned(planned, trees) ?? containerLifeObstacle();

describe('the life of a Nextcloud in a container', () => {
  if (reason !== null) it.skip(`is lived (skipped: ${reason})`, () => undefined);
  else {
    it.each(planned)('is lived from $version to stock again', { timeout: 900_000 }, async (tree) => {
      const result = await runContainerLife({ tree, trees });
      expect(result.steps.filter((step) => step.outcome === 'failed')).toEqual([]);
      expect(result.steps.filter((step) => step.outcome === 'passed').length).toBeGreaterThan(9);
      expect(result.left).toEqual([]);
    });
  }
});
