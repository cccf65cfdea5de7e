import { describe, expect, it } from 'vitest';
import { listTrees } from '../harness/nextcloud-tree.ts';
import { runCoreLife } from './core-life.ts';
import { lifeObstacle } from './life.ts';
import { plannedFor, whyNotPlanned } from './life-plan.ts';

const trees = listTrees();
const planned = plannedFor('core', trees);
const reason = whyNotPlanned(planned, trees) ?? lifeObstacle();

describe('the life of a Nextcloud with the hook in its own code', () => {
  if (reason !== null) it.skip(`is lived (skipped: ${reason})`, () => undefined);
  else {
    it.each(planned)(
      "is lived on $version until the code is the vendor's again",
      { timeout: 900_000 },
      async (tree) => {
        const result = await runCoreLife({ tree, trees });
        expect(result.steps.filter((step) => step.outcome === 'failed')).toEqual([]);
        expect(result.steps.filter((step) => step.outcome === 'passed').length).toBeGreaterThan(12);
        expect(result.left).toEqual([]);
      },
    );
  }
});
