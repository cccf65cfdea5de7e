import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Cleanup } from '../harness/cleanup.ts';
import { listTrees } from '../harness/nextcloud-tree.ts';
import type { CloudKind } from '../harness/whole-cloud.ts';
import { SetupStory, storyObstacle } from './setup-story.ts';

export interface SetupPlay {
  readonly kind: CloudKind;
  readonly transport: 'wireguard' | 'ssh';
  /** Steps of the setup, from 1, at which it is killed once before it is let through. */
  readonly kills: readonly number[];
  /** Whether all that may be cut off is cut off, and a second run is looked at. */
  readonly all: boolean;
  /** More that is refused before there is anything. */
  readonly before?: (story: () => SetupStory) => void;
}

/** Why it cannot be played here, or `null`. */
export function playObstacle(kind: CloudKind): string | null {
  return storyObstacle(listTrees().at(-1), kind);
}

/** A test of each act: from a stock Nextcloud through setup, use, and what may happen to machines and lines, to a stock one again. */
export function playSetup({ kind, transport, kills, all, before }: SetupPlay): void {
  const cleanup = new Cleanup();
  let story: SetupStory;
  vi.setConfig({ testTimeout: 1_800_000, hookTimeout: 600_000 });

  describe(`a setup of two whole machines, ${kind.name}, by ${transport}`, () => {
    beforeAll(async () => {
      const tree = listTrees().at(-1);
      if (tree === undefined) return;
      story = await SetupStory.begin(tree, cleanup, kind);
      if (transport === 'ssh') await story.pair.network.setUdp(false);
    });
    afterAll(async () => {
      if (story?.returns.length > 0) process.stderr.write(`files opened again by themselves:\n${story.table()}\n`);
      expect(await cleanup.run()).toEqual([]);
    });

    it('refuses a server whose host key nobody vouches for, and does nothing', async () => {
      const { login, cloud } = story.pair;
      story.configure({ transport, server: { ssh: login, ...cloud.wish, knownHosts: '/root/nobody' } });
      const { exit, stderr } = await story.setup();
      expect(exit, stderr).toBe(3);
      expect(stderr).toMatch(/^ncpatch: error: the key of .* is not known: .*\nncpatch: hint: /m);
      expect(story.leftovers()).toEqual([]);
    });

    before?.(() => story);

    const killed = kills.length === 0 ? '' : ` after it was killed at ${kills.length} steps, with every file readable`;
    it(`sets up both machines${killed}`, async () => {
      story.configure({ transport });
      for (const step of kills) {
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
      await story.lineIsDown(all ? 30 : 3);
      if (all) await story.bothLosePower();
      expect(await story.wrongFiles()).toEqual([]);
      expect(story.keysOnServer()).toEqual([]);
    });

    it.runIf(all)('finds everything in place when it is run again', async () => {
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
  });
}
