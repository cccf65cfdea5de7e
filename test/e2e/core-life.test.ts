import { describe, expect, it } from 'vitest';
import { listTrees, treesFolder } from '../harness/nextcloud-tree.ts';
import { runCoreLife } from './core-life.ts';
import { lifeObstacle } from './life.ts';

const trees = listTrees();
const newest = trees.at(-1);
const reason = newest === undefined ? `no release in ${treesFolder()}` : lifeObstacle();

describe('the life of a Nextcloud with the hook in its own code', () => {
  if (reason !== null || newest === undefined) it.skip(`is lived (skipped: ${reason})`, () => undefined);
  else {
    it(`is lived on ${newest.version} until the code is the vendor's again`, { timeout: 600_000 }, async () => {
      const result = await runCoreLife({ tree: newest, trees });
      expect(result.steps.filter((step) => step.outcome === 'failed')).toEqual([]);
      expect(result.steps.filter((step) => step.outcome === 'passed').length).toBe(13);
      expect(result.left).toEqual([]);
    });
  }
});
