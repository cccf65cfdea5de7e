import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readLocalApp } from '../../patcher/app-files.ts';
import { apply } from '../../patcher/apply.ts';
import { watchFolder, watchPathsOutside } from '../../patcher/watch/watch-files.ts';
import { openWorkplace } from '../../patcher/workplace.ts';
import { run } from '../../platform/run.ts';
import { Cleanup } from '../harness/cleanup.ts';
import type { KeyServer } from '../harness/keyserver-process.ts';
import { WebDav } from '../harness/nextcloud-client.ts';
import { isRoot } from '../harness/nextcloud-files.ts';
import { instanceObstacle, NextcloudInstance } from '../harness/nextcloud-instance.ts';
import { listTrees, nextTree } from '../harness/nextcloud-tree.ts';
import { KeyHandover, leaveNoTraces } from './key-handover.ts';
import { type NcpatchRun, runNcpatch } from './ncpatch-run.ts';

// A real Nextcloud goes to its next release, in the way that takes apps away, and a real key server hears of what the watch did.
const trees = listTrees();
const before = trees.at(-2);
const next = before === undefined ? null : nextTree(before, trees);
// takes minutes: two releases, a key server and an escrow; what the script does by itself is in watch-script.test.ts
const thorough = process.env.LATCHKEY_THOROUGH === '1';
const canRun = thorough && before !== undefined && next?.allowed === true && isRoot() && instanceObstacle() === null;
const PHP_APP = new URL('../../php-app', import.meta.url).pathname;
const FILE = 'letter.txt';
const CONTENT = 'nobody else is to read this';

describe.runIf(canRun)('the watch of a real nextcloud', { timeout: 900_000 }, () => {
  const cleanup = new Cleanup();
  const folder = mkdtempSync(join(tmpdir(), 'lk-watch-real-'));
  let nextcloud: NextcloudInstance;
  let keyServer: KeyServer;
  let clientId: string;
  let watch: string;

  beforeAll(async () => {
    if (before === undefined) throw new Error('no tree');
    cleanup.add(folder, () => rmSync(folder, { recursive: true, force: true }));
    nextcloud = await NextcloudInstance.install(before, { cleanup });
    await nextcloud.enableEncryption();
    await nextcloud.serve();
    const { instanceId } = nextcloud;
    watch = watchFolder(instanceId);
    leaveNoTraces(cleanup, instanceId, [watch, ...watchPathsOutside(instanceId)]);
    const handover = await KeyHandover.open(folder, cleanup);
    ({ keyServer } = handover);
    ({ clientId } = handover.invitation);
    expect((await dav().put(FILE, CONTENT)).status).toBe(201);
    ok(await ncpatch(['apply']));
    ok(await ncpatch(['enroll', ...handover.enrolment]));
    ok(await ncpatch(['escrow', ...handover.escrow]));
  }, 900_000);
  afterAll(async () => {
    expect(await cleanup.run()).toEqual([]);
  }, 120_000);

  const dav = (): WebDav => new WebDav(nextcloud.address, nextcloud.admin, { session: false });
  const ncpatch = (argv: readonly string[]): Promise<NcpatchRun> =>
    runNcpatch([...argv, '--local', '--root', nextcloud.root, '--json']);
  const ok = (done: NcpatchRun): Record<string, unknown> => {
    expect(done.stderr).not.toContain('error:');
    expect(done.exit).toBe(0);
    return JSON.parse(done.stdout) as Record<string, unknown>;
  };
  /** What the path unit and cron start. */
  const runWatch = () =>
    run(['/bin/sh', join(watch, 'watch.sh'), watch], { timeoutMs: 200_000, allowExit: 'any' }).then(
      ({ exit, stderr }) => ({ exit, stderr }),
    );
  /** A run gives up waiting after a while; config.php, which the upgrade changes, and the timer start the next. */
  const runWatchUntilItSays = async () => {
    for (;;) {
      const done = await runWatch();
      if (done.stderr !== '' || done.exit !== 0) return done;
    }
  };
  const beat = () => {
    const { instanceId } = nextcloud;
    const script = `/var/lib/latchkey/heartbeat-${instanceId}.sh`;
    const argv = ['setpriv', '--reuid=33', '--regid=33', '--init-groups', '/bin/sh', script] as const;
    return run([...argv, `/var/lib/latchkey/${instanceId}`, instanceId], { timeoutMs: 30_000, allowExit: 'any' });
  };
  const appFolder = (): string => join(nextcloud.root, 'apps/remotekeystorage');
  const readable = async (): Promise<boolean> => {
    const { status, body } = await dav().get(FILE);
    return status === 200 && body.toString('utf8') === CONTENT;
  };

  test('is installed as one transaction; the second time there is nothing to do', async () => {
    const planned = ok(await ncpatch(['watch', 'install', '--dry-run'])).changes as unknown[];
    expect(planned.length).toBeGreaterThan(6);
    expect(existsSync(watch)).toBe(false);
    expect(ok(await ncpatch(['watch', 'install'])).changes).toHaveLength(planned.length);
    expect(ok(await ncpatch(['watch', 'install'])).changes).toEqual([]);
    expect((statSync(watch).mode & 0o777).toString(8)).toBe('700');
    expect(await runWatch()).toEqual({ exit: 0, stderr: '' });
    expect(ok(await ncpatch(['watch', 'status']))).toMatchObject({
      installed: true,
      startedBy: [`/etc/cron.d/latchkey-watch-${nextcloud.instanceId}`],
      looked: { found: 'fine' },
      repaired: null,
      failing: null,
    });
  });

  test('makes files readable again after an upgrade that switched the app off and deleted it', async () => {
    const tree = next?.tree;
    if (tree === undefined) throw new Error('no tree');
    await nextcloud.occ(['app:disable', 'remotekeystorage']);
    await nextcloud.replaceCode(tree);
    rmSync(appFolder(), { recursive: true });
    const watching = runWatchUntilItSays(); // a changed version.php starts it
    await nextcloud.occ(['upgrade'], { timeoutMs: 240_000 });
    const over = Date.now();
    await nextcloud.serve();
    expect(existsSync(appFolder())).toBe(false);
    expect(await readable()).toBe(false);
    await expect.poll(readable, { timeout: 300_000, interval: 50 }).toBe(true);
    const seconds = ((Date.now() - over) / 1000).toFixed(1);
    process.stdout.write(
      `      readable ${seconds} s after the end of occ upgrade, ${before?.version} to ${tree.version}\n`,
    );
    expect(await watching).toEqual({ exit: 0, stderr: 'watch: the app was put back (release)\n' });
    expect(ok(await ncpatch(['watch', 'status']))).toMatchObject({
      repaired: { proof: 'release', from: before?.version, to: tree.version },
      failing: null,
      closed: false,
    });
    expect(ok(await ncpatch(['apply']))).toMatchObject({ changed: false });
  });

  test('tells the owner with the next heartbeat', async () => {
    const beats = [await beat(), await beat()];
    expect(beats.map(({ exit }) => exit)).toEqual([0, 0]);
    const { records } = (await keyServer.command(['audit', 'tail', '--lines', '100'])).json() as {
      records: { event: string; client?: string }[];
    };
    const told = records.filter(({ event, client }) => event === 'client_notice' && client === clientId);
    expect(told).toMatchObject([{ reason: 'reapplied', detail: { from: before?.version, to: next?.tree.version } }]);
    const { alerts } = (await keyServer.command(['alert', 'log'])).json() as { alerts: { event: string }[] };
    expect(alerts.map(({ event }) => event)).toContain('app_watch');
  });

  test('puts the app back as its own timer finds it, switched off or changed', async () => {
    writeFileSync(join(appFolder(), 'lib/Storage/RemoteKeyStorage.php'), '<?php\n');
    await nextcloud.occ(['app:disable', 'remotekeystorage'], { anyExit: true });
    const start = Date.now();
    expect(await runWatch()).toMatchObject({ exit: 0 });
    process.stdout.write(`      one repair took ${((Date.now() - start) / 1000).toFixed(1)} s\n`);
    await nextcloud.restartServer();
    expect(await readable()).toBe(true);
    const look = Date.now();
    expect(await runWatch()).toEqual({ exit: 0, stderr: '' });
    process.stdout.write(`      a look that finds nothing takes ${Date.now() - look} ms\n`);
  });

  test('has the version of the app that apply brings', async () => {
    const hashes = readFileSync(join(watch, 'app.sha256'), 'utf8');
    const place = await openWorkplace({ local: true, root: nextcloud.root }, { prompter: null, env: {} });
    try {
      const app = await readLocalApp(PHP_APP);
      const watchless = { ...app, watch: { ...app.watch, hashes: `${'0'.repeat(64)}  ./x\n` } };
      const by = { user: 'test', machine: 'test', pid: process.pid };
      const progress = { step: () => undefined, note: () => undefined };
      const deps = { progress, by, now: Date.now, random: randomBytes, takeOver: false };
      const report = await apply(place, watchless, deps);
      expect(report.done).toEqual([`write ${watch}/app.sha256`]);
    } finally {
      await place.close();
    }
    expect(ok(await ncpatch(['apply'])).done).toEqual([`write ${watch}/app.sha256`]);
    expect(readFileSync(join(watch, 'app.sha256'), 'utf8')).toBe(hashes);
  });

  test('is removed without a trace; the second time there is nothing to do', async () => {
    expect(ok(await ncpatch(['watch', 'remove'])).changes).toHaveLength(2);
    expect([watch, ...watchPathsOutside(nextcloud.instanceId)].filter((path) => existsSync(path))).toEqual([]);
    expect(readdirSync('/var/lib/latchkey').filter((name) => name.includes(`watch-${nextcloud.instanceId}`))).toEqual(
      [],
    );
    expect(ok(await ncpatch(['watch', 'remove'])).changes).toEqual([]);
    expect(ok(await ncpatch(['watch', 'status']))).toMatchObject({ installed: false, looked: null });
  });
});
