import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cleanup } from '../harness/cleanup.ts';
import { listTrees } from '../harness/nextcloud-tree.ts';
import { wholeNextcloudObstacle } from '../harness/whole-nextcloud.ts';
import { commandLines, pageText, partsOf } from './readme-walk-pages.ts';
import { NOT_RUN, TREATMENTS, treatmentOf, type Walk } from './readme-walk-treatments.ts';
import { homeObstacle, ReadmeWorld } from './readme-walk-world.ts';

const PAGE = 'README.md';
const lines = partsOf(pageText(PAGE))
  .blocks.flatMap((block) => commandLines(PAGE, block))
  .map(({ text }) => text);

const tree = listTrees().at(-1) ?? null;
const isThorough = process.env.LATCHKEY_THOROUGH === '1';
const atHome = homeObstacle();
const withServer = atHome ?? (tree === null ? 'no release of Nextcloud is here' : wholeNextcloudObstacle());
/** Lines that need the server take minutes, and are walked when there is time. */
const walked = lines.filter((line) => {
  const treatment = treatmentOf(line);
  return treatment !== null && (isThorough || treatment.needs === 'home');
});

describe('every line of README.md has its walk', () => {
  test('a line that nobody has thought of is refused', () => {
    expect(() => treatmentOf('ncpatch conjure --ssh root@cloud.example')).toThrow(/nothing here says how/);
    expect(() => treatmentOf('npm start --twice')).not.toThrow();
    expect(() => treatmentOf('npm starter')).toThrow();
  });

  test.each(lines)('%s', (line) => {
    expect(treatmentOf(line)?.start ?? NOT_RUN[line]).toBeTypeOf('string');
  });

  test('and every walk its line', () => {
    const starts = lines.map((line) => treatmentOf(line)?.start ?? line);
    expect(starts.toSorted()).toEqual([...Object.keys(NOT_RUN), ...TREATMENTS.map(({ start }) => start)].toSorted());
  });
});

describe.skipIf(atHome !== null)(`README.md, walked in its order${atHome === null ? '' : `: ${atHome}`}`, () => {
  const cleanup = new Cleanup();
  const unguard = cleanup.guard();
  let walk: Walk;
  let isTunnelled = false;
  beforeAll(async () => {
    walk = { world: await ReadmeWorld.build(isThorough && withServer === null ? tree : null, cleanup), told: {} };
  }, 180_000);
  afterAll(async () => {
    unguard();
    expect(await cleanup.run()).toEqual([]);
  }, 60_000);

  for (const line of walked) {
    const treatment = treatmentOf(line) as NonNullable<ReturnType<typeof treatmentOf>>;
    const why = treatment.needs === 'home' ? null : withServer;
    test.skipIf(why !== null)(why === null ? line : `${line}: ${why}`, { timeout: 600_000 }, async () => {
      if (treatment.needs === 'tunnel' && !isTunnelled) {
        await walk.world.layTunnel();
        isTunnelled = true;
      }
      await treatment.walk(line, walk);
    });
  }
});
