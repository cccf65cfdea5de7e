import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type LocalApp, readLocalApp } from '../../patcher/app-files.ts';
import { apply, bringUp } from '../../patcher/apply.ts';
import { withJournal } from '../../patcher/journal/transaction.ts';
import { escrow, escrowPreflight } from '../../patcher/keys/escrow.ts';
import { restore } from '../../patcher/keys/restore.ts';
import { rollback } from '../../patcher/rollback.ts';
import { verifyLoaded } from '../../patcher/verify.ts';
import type { Workplace } from '../../patcher/workplace.ts';
import { sha256 } from '../../platform/encoding.ts';
import { isLatchkeyError } from '../../platform/errors.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { hasProgram } from '../harness/programs.ts';
import { makePhpLean } from '../harness/quick-php.ts';
import { type CuttableLine, sshdMissing, startCuttableLine, startSshd, type TestSshd } from '../harness/sshd.ts';
import { CutSweep, type Undisturbed } from './cut-sweep.ts';
import type { CutPoint } from './cut-transport.ts';
import { PRETEND_KEYS, PretendNextcloud } from './pretend-nextcloud.ts';

// Over a real sshd and on real files, with a stand-in for occ. LATCHKEY_THOROUGH=1: everything that can happen to each
// command, also to those that change nothing.
const missing = sshdMissing() ?? (hasProgram('php') ? null : 'php is not installed');
const thorough = process.env.LATCHKEY_THOROUGH === '1';
const PHP_APP = new URL('../../php-app', import.meta.url).pathname;
const PASSPHRASE = 'a passphrase of some length';

type Work = (place: Workplace) => Promise<unknown>;

/**
 * Every way for every command; or the answer lost of every fifth that changed something, and some of these killed. Where an
 * exchange has few commands it is every third of all.
 */
function pointsFor({ commands, changing }: Undisturbed): CutPoint[] {
  const ways = (at: number): CutPoint[] => {
    const ms = 1 + (at % 12);
    return [
      { at, how: 'before' },
      { at, how: 'after' },
      { at, how: 'killed', ms },
      { at, how: 'dies', ms },
    ];
  };
  if (thorough) return commands.flatMap((_, at) => ways(at));
  const isShort = commands.length < FEW;
  const chosen = [...(isShort ? commands.keys() : changing)].filter((_, i) => i % (isShort ? EACH_OF_FEW : EACH) === 1);
  const some = [['after'], ['after', 'killed'], ['after'], ['after', 'dies']];
  return chosen.flatMap((at, i) => ways(at).filter(({ how }) => some[i % some.length]?.includes(how)));
}

const FEW = 20;
/** `npm test` is to end within minutes: of those that come into question, every fifth. */
const EACH = 5;
const EACH_OF_FEW = 3;

describe.skipIf(missing !== null)(`over a line that breaks${missing === null ? '' : ` (${missing})`}`, () => {
  vi.setConfig({ testTimeout: thorough ? 3_600_000 : 600_000 });
  const folder = mkdtempSync(join(tmpdir(), 'lk-cut-'));
  let sshd: TestSshd;
  let line: CuttableLine;
  let app: LocalApp;
  let nextcloud: PretendNextcloud;
  let sweep: CutSweep;
  /** For who wants to know: commands of an undisturbed run, and how often one of them was disturbed. */
  const counts = new Map<string, readonly [commands: number, points: number]>();

  const cleanup = new Cleanup();

  beforeAll(async () => {
    makePhpLean(cleanup);
    sshd = await startSshd();
    line = await startCuttableLine(sshd.port);
    const whole = await readLocalApp(PHP_APP);
    const some = /^appinfo.info\.xml$|^bin.heartbeat|^lib.AppInfo/; // enough to see a half of it
    app = withFiles(
      whole,
      whole.files.filter(({ path }) => some.test(path)),
    );
  });
  beforeEach(async () => {
    nextcloud = new PretendNextcloud();
    sweep = await CutSweep.open(sshd, line, nextcloud, { looks: thorough });
  });
  afterEach(async () => {
    await sweep.close();
    nextcloud.remove();
  });
  afterAll(async () => {
    await line.close();
    await sshd.stop();
    rmSync(folder, { recursive: true });
    expect(await cleanup.run()).toEqual([]);
    if (thorough) process.stdout.write(`${JSON.stringify(Object.fromEntries(counts), null, 1)}\n`);
  });

  const put =
    (wanted: LocalApp): Work =>
    (place) =>
      apply(place, wanted, sweep.deps);
  const undo = (place: Workplace) => rollback(place, sweep.deps);
  const moveKeys =
    (copy: string): Work =>
    (place) =>
      withJournal(place, sweep.deps, async () => {
        const facts = await place.facts();
        const deps = { ...sweep.deps, occ: place.instance.occ };
        await escrowPreflight(facts, deps);
        return escrow(facts, { grant: 'the-grant', copy: { path: join(folder, copy), passphrase: PASSPHRASE } }, deps);
      });
  const bringBack: Work = (place) =>
    withJournal(place, sweep.deps, async (journal) => {
      const { progress } = sweep.deps;
      await bringUp(place, journal, app, progress, verifyLoaded, ['master_key_missing']);
      return restore(await place.facts(), { copy: null }, { ...sweep.deps, occ: place.instance.occ });
    });

  /** What an unfinished step would have left. */
  const traces = (): string[] => [
    ...nextcloud.journalLeft(),
    ...readdirSync(join(nextcloud.root, 'apps')).filter((name) => name !== 'remotekeystorage'),
  ];

  /** What must hold at any moment, whatever was cut. */
  function expectSound(where: string, apps: readonly LocalApp[]): void {
    for (const id of PRETEND_KEYS) {
      expect(nextcloud.onDisk(id) || nextcloud.onKeyServer(id), `${id} is lost by ${where}`).toBe(true);
    }
    expect(nextcloud.endangersFiles(), `the web is open without an app by ${where}`).toBe(false);
    const there = nextcloud.appFiles();
    if (there !== null)
      expect(
        apps.map((one) => one.app.content),
        where,
      ).toContainEqual(there);
  }

  /** Cuts `work` at each of its commands, from the state that there is, and hands over to `settle` what it left. */
  async function cutEverywhere(
    work: (serial: string) => Work,
    apps: readonly LocalApp[],
    settle: (where: string, i: number, error: unknown) => Promise<void>,
  ): Promise<void> {
    nextcloud.keep();
    const undisturbed = await sweep.count(work('undisturbed'));
    const { commands, facts } = undisturbed;
    const points = pointsFor(undisturbed);
    for (const [i, cut] of points.entries()) {
      const where = `${JSON.stringify(cut)}: ${commands[cut.at]}`;
      const error = await sweep.disturb(work(String(i)), cut, facts);
      if (error !== null && !isLatchkeyError(error)) throw error;
      expectSound(where, apps);
      await settle(where, i, error);
      expectSound(where, apps);
      expect(traces(), where).toEqual([]);
      nextcloud.reset();
    }
    counts.set(expect.getState().currentTestName ?? '', [commands.length, points.length]);
    expect(points.length).toBeGreaterThan(5);
  }

  /** Done or undone: by `rollback` and by another `apply` in turn. */
  async function sweepApply(wanted: LocalApp, apps: readonly LocalApp[]): Promise<void> {
    nextcloud.keep();
    const before = nextcloud.snapshot();
    await sweep.undisturbed(put(wanted));
    const after = nextcloud.snapshot();
    expect(after).not.toEqual(before);
    nextcloud.reset();
    await cutEverywhere(
      () => put(wanted),
      apps,
      async (where, i, error) => {
        if (error === null) expect(nextcloud.snapshot(), where).toEqual(after);
        if (i % 4 !== 0) {
          const { outcome } = await sweep.undisturbed(undo);
          const now = nextcloud.snapshot();
          if (outcome === 'nothing') expect([before, after], where).toContainEqual(now);
          else expect(now, where).toEqual(outcome === 'undone' ? before : after);
        } else {
          await sweep.undisturbed(put(wanted));
          expect(nextcloud.snapshot(), where).toEqual(after);
        }
      },
    );
  }

  test('a first apply is done or undone', () => sweepApply(app, [app]));

  test('an apply that replaces the app while the keys are away is done or undone behind a closed web', async () => {
    const old = withVersion(app, '0.9.0');
    nextcloud.enroll();
    await sweep.undisturbed(put(old));
    await sweep.undisturbed(moveKeys('of the replaced'));
    await sweepApply(app, [old, app]);
  });

  test('a rollback that is cut goes on the next time', async () => {
    nextcloud.keep();
    const before = nextcloud.snapshot();
    const { commands, facts } = await sweep.count(put(app));
    const last = commands.findLastIndex((command) => command.includes('remotekey:'));
    await sweep.disturb(put(app), { at: last, how: 'after' }, facts);
    await cutEverywhere(
      () => undo,
      [app],
      async (where, i) => {
        if (i % 4 !== 0) {
          await sweep.undisturbed(undo);
          expect(nextcloud.snapshot(), where).toEqual(before);
        } else {
          await sweep.undisturbed(put(app));
          expect(nextcloud.appFiles(), where).toEqual(app.app.content);
        }
      },
    );
  });

  test('an escrow that is cut has every key somewhere, and the next one completes it', async () => {
    nextcloud.enroll();
    await sweep.undisturbed(put(app));
    const work = (serial: string): Work => moveKeys(`copy-${serial}`);
    await cutEverywhere(work, [app], async (where, i) => {
      const copy = join(folder, `copy-${i}`);
      if (PRETEND_KEYS.some((id) => !nextcloud.onDisk(id))) expect(existsSync(copy), where).toBe(true);
      await sweep.undisturbed(work(String(i)));
      expect([PRETEND_KEYS.map((id) => nextcloud.onDisk(id)), existsSync(copy)], where).toEqual([[false, false], true]);
    });
  });

  test('a restore that is cut has every key somewhere, and the next one completes it', async () => {
    nextcloud.enroll();
    await sweep.undisturbed(put(app));
    await sweep.undisturbed(moveKeys('of the restored'));
    await cutEverywhere(
      () => bringBack,
      [app],
      async (where) => {
        await sweep.undisturbed(bringBack);
        expect(
          PRETEND_KEYS.map((id) => nextcloud.onDisk(id)),
          where,
        ).toEqual([true, true]);
      },
    );
  });
});

function withFiles(app: LocalApp, files: LocalApp['files']): LocalApp {
  const content = Object.fromEntries(files.map(({ path, data }) => [path, sha256(data).toString('hex')]));
  return { ...app, app: { ...app.app, content }, files };
}

/** The same app as an older release. */
function withVersion(app: LocalApp, version: string): LocalApp {
  const files = app.files.map((file) => {
    if (file.path !== 'appinfo/info.xml') return file;
    return { ...file, data: Buffer.from(String(file.data).replace(/<version>[^<]+/, `<version>${version}`)) };
  });
  const older = withFiles(app, files);
  return { ...older, app: { ...older.app, version } };
}
