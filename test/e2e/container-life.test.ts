import { describe, expect, it } from 'vitest';
import { listTrees, treesFolder } from '../harness/nextcloud-tree.ts';
import { containerLifeObstacle, runContainerLife } from './container-life.ts';

const trees = listTrees();
const [newest, before] = [trees.at(-1), trees.at(-2)];
// into the newest by an upgrade of the image, where that is allowed
const tree = newest?.upgradesFrom.includes(before?.version.split('.').slice(0, 2).join('.') ?? '') ? before : newest;
const reason = tree === undefined ? `no release in ${treesFolder()}` : containerLifeObstacle();

describe('the life of a Nextcloud in a container', () => {
  if (reason !== null || tree === undefined) it.skip(`is lived (skipped: ${reason})`, () => undefined);
  else {
    it(`is lived from ${tree.version} to stock again`, { timeout: 900_000 }, async () => {
      const result = await runContainerLife({ tree, trees });
      expect(result.steps.filter((step) => step.outcome === 'failed')).toEqual([]);
      expect(result.steps.filter((step) => step.outcome === 'passed').length).toBeGreaterThan(9);
      expect(result.left).toEqual([]);
    });
  }
});
