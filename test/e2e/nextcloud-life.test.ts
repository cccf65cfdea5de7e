import { describe, expect, it } from 'vitest';
import { listTrees } from '../harness/nextcloud-tree.ts';
import { lifeObstacle, runNextcloudLife } from './life.ts';
import { plannedFor, whyNotPlanned } from './life-plan.ts';

const trees = listTrees();
const planned = plannedFor('app', trees);
const reason = whyNotPlanned(planned, trees) ?? lifeObstacle();

describe('the life of a Nextcloud with Latchkey', () => {
  if (reason !== null) it.skip(`is lived (skipped: ${reason})`, () => undefined);
  else {
    it.each(planned)('is lived on $version from installation to stock again', { timeout: 900_000 }, async (tree) => {
      const result = await runNextcloudLife({ tree, trees });
      expect(result.steps.filter((step) => step.outcome === 'failed')).toEqual([]);
      expect(result.steps.filter((step) => step.outcome === 'passed').length).toBeGreaterThan(10);
      expect(result.left).toEqual([]);
    });
  }
});
