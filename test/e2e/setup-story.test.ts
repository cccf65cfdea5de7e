import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cleanup } from '../harness/cleanup.ts';
import { listTrees } from '../harness/nextcloud-tree.ts';
import { SetupStory, storyObstacle } from './setup-story.ts';

const tree = listTrees().at(-1);
const obstacle = storyObstacle(tree);
const thorough = process.env.LATCHKEY_THOROUGH === '1';
const LONG = 300_000;

describe.skipIf(obstacle !== null || tree === undefined)('a setup of two whole machines', () => {
  const cleanup = new Cleanup();
  let story: SetupStory;

  beforeAll(async () => {
    if (tree !== undefined) story = await SetupStory.begin(tree, cleanup);
  }, LONG);
  afterAll(async () => {
    if (story?.returns.length > 0) process.stderr.write(`back without hands:\n${story.table()}\n`);
    expect(await cleanup.run()).toEqual([]);
  }, LONG);

  it(
    'refuses a server that it does not know, and does nothing',
    async () => {
      story.configure({ server: { ssh: 'root@198.51.100.99' } });
      const { exit, stderr } = await story.setup();
      expect([exit, stderr]).toEqual([expect.any(Number), expect.stringMatching(/^ncpatch: error: /m)]);
      expect(exit).not.toBe(0);
      expect(story.leftovers()).toEqual([]);
    },
    LONG,
  );

  it(
    'ends well after it was killed in the middle',
    async () => {
      story.configure();
      for (const step of thorough ? [1, 2, 3, 4, 5, 6, 7] : [1, 4]) {
        await story.setupKilledAt(step, step * 150);
        expect(await story.wrongFiles()).toEqual([]);
      }
      const { exit, stdout, stderr } = await story.setup();
      expect([exit, stderr]).toEqual([0, expect.stringContaining('')]);
      expect(stdout).toContain('keys at home');
    },
    LONG,
  );

  it(
    'has files open with keys that are at home only',
    async () => {
      expect(story.keysOnServer()).toEqual([]);
      await story.forgetKeys();
      expect(await story.wrongFiles()).toEqual([]);
      expect(await story.write('later.txt', 'written after the move\n')).toBe(201);
    },
    LONG,
  );

  it(
    'comes back without hands',
    async () => {
      await story.serverLosesPower();
      await story.homeLosesPower();
      await story.homeMoves();
      await story.lineIsDown(thorough ? 30 : 5);
      if (thorough) await story.bothLosePower();
      expect(await story.wrongFiles()).toEqual([]);
      expect(story.keysOnServer()).toEqual([]);
    },
    LONG,
  );

  it(
    'finds everything in place when it is run again, and changes nothing',
    async () => {
      const { exit, stdout } = await story.setup();
      expect(exit).toBe(0);
      expect(stdout).not.toMatch(/^done /m);
    },
    LONG,
  );

  it(
    'is taken back to a stock Nextcloud that reads everything, with nothing left',
    async () => {
      const { exit, stderr } = await story.teardown('--purge');
      expect([exit, stderr]).toEqual([0, expect.any(String)]);
      await story.forgetKeys();
      expect(await story.wrongFiles()).toEqual([]);
      expect(story.keysOnServer().length).toBeGreaterThan(0);
      expect(story.leftovers()).toEqual([]);
    },
    LONG,
  );
});
