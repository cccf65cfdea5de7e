import { describe, expect, it } from 'vitest';
import { listTrees, nextTree, treesFolder } from '../harness/nextcloud-tree.ts';
import { runSnapLife, snapLifeObstacle, snapStepNames } from './snap-life.ts';

const trees = listTrees();
// the newest that a refresh can take to another release; "npm run test:nextcloud" lives it on all
const tree = trees.findLast((one) => nextTree(one, trees)?.allowed === true) ?? trees.at(-1);
const thorough = process.env.LATCHKEY_THOROUGH === '1';
const reason = tree === undefined ? `no release in ${treesFolder()}` : snapLifeObstacle();

describe('the life of a snap with Latchkey', () => {
  if (reason !== null || tree === undefined) it.skip(`is lived (skipped: ${reason})`, () => undefined);
  else {
    it(`is lived from ${tree.version} through a refresh to stock again`, { timeout: 900_000 }, async () => {
      const result = await runSnapLife({ tree, trees, thorough });
      expect(result.steps.filter((step) => step.outcome !== 'passed')).toEqual([]);
      expect(result.steps.length).toBe(snapStepNames.length - (thorough ? 0 : 1));
      expect(result.left).toEqual([]);
    });
  }
});
