import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Cleanup } from '../harness/cleanup.ts';
import { listTrees } from '../harness/nextcloud-tree.ts';
import { SetupStory, storyObstacle } from './setup-story.ts';

const tree = listTrees().at(-1);
const obstacle = storyObstacle(tree);
const thorough = process.env.LATCHKEY_THOROUGH === '1';
const ways = thorough ? (['wireguard', 'ssh'] as const) : (['wireguard'] as const);

vi.setConfig({ testTimeout: 900_000, hookTimeout: 300_000 });

describe.skipIf(obstacle !== null || tree === undefined).each(ways)(
  'a setup of two whole machines by %s',
  (transport) => {
    const cleanup = new Cleanup();
    let story: SetupStory;

    beforeAll(async () => {
      if (tree === undefined) return;
      story = await SetupStory.begin(tree, cleanup);
      if (transport === 'ssh') await story.pair.network.setUdp(false);
    });
    afterAll(async () => {
      if (story?.returns.length > 0) process.stderr.write(`files opened again by themselves:\n${story.table()}\n`);
      expect(await cleanup.run()).toEqual([]);
    });

    it('refuses a server whose host key nobody vouches for, and does nothing', async () => {
      const { login, cloud } = story.pair;
      story.configure({ transport, server: { ssh: login, root: cloud.root, knownHosts: '/root/nobody' } });
      const { exit, stderr } = await story.setup();
      expect(exit, stderr).toBe(3);
      expect(stderr).toMatch(/^ncpatch: error: the key of .* is not known: .*\nncpatch: hint: /m);
      expect(story.leftovers()).toEqual([]);
    });

    it(`sets up both machines${thorough ? ' after it was killed at every step, with every file readable at any time' : ''}`, async () => {
      story.configure({ transport });
      for (const step of thorough ? [1, 2, 3, 4, 5, 6, 7] : []) {
        await story.setupKilledAt(step, step * 150);
        expect(await story.wrongFiles()).toEqual([]);
      }
      await story.tidy();
      const { exit, stdout, stderr } = await story.setup();
      expect(exit, stderr).toBe(0);
      expect(stdout).toMatch(/^keys at home +master_/m);
    });

    it('has files open with keys that are at home only', async () => {
      expect(story.keysOnServer()).toEqual([]);
      await story.forgetKeys();
      expect(await story.wrongFiles()).toEqual([]);
      expect(await story.write('later.txt', 'written after the move\n')).toBe(201);
    });

    it('has files open again by itself after power and line were cut, and the home has moved', async () => {
      await story.serverLosesPower();
      await story.homeLosesPower();
      await story.homeMoves();
      await story.lineIsDown(thorough ? 30 : 3);
      if (thorough) await story.bothLosePower();
      expect(await story.wrongFiles()).toEqual([]);
      expect(story.keysOnServer()).toEqual([]);
    });

    it.runIf(thorough)('finds everything in place when it is run again', async () => {
      await story.tidy();
      const { exit, stdout, stderr } = await story.setup();
      expect(exit, stderr).toBe(0);
      expect(stdout.match(/^done .*$/gm)).toEqual([expect.stringContaining('look at all that the keys depend on')]);
    });

    it('is taken back to a stock Nextcloud that reads everything, with nothing left', async () => {
      const { exit, stderr } = await story.teardown('--purge');
      expect(exit, stderr).toBe(0);
      await story.forgetKeys();
      expect(await story.wrongFiles()).toEqual([]);
      expect(story.keysOnServer()).not.toEqual([]);
      expect(story.leftovers()).toEqual([]);
    });
  },
);
