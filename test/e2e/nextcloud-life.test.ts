import { describe, expect, it } from 'vitest';
import { listTrees, treesFolder } from '../harness/nextcloud-tree.ts';
import { lifeObstacle, runNextcloudLife } from './life.ts';

const trees = listTrees();
const reason = trees.length === 0 ? `no release in ${treesFolder()}` : lifeObstacle();

describe('the life of a Nextcloud with Latchkey', () => {
  if (reason !== null) it.skip(`is lived on every release (skipped: ${reason})`, () => undefined);
  else {
    it.each(trees)('is lived on $version from installation to stock again', { timeout: 600_000 }, async (tree) => {
      const result = await runNextcloudLife({ tree, trees });
      expect(result.steps.filter((step) => step.outcome === 'failed')).toEqual([]);
      expect(result.steps.filter((step) => step.outcome === 'passed').length).toBeGreaterThan(10);
      expect(result.left).toEqual([]);
    });
  }
});
