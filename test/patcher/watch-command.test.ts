import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { watchFolder, watchPathsOutside } from '../../patcher/watch/watch-files.ts';
import { run } from '../../platform/run.ts';
import { isRoot } from '../harness/nextcloud-files.ts';
import { hasProgram } from '../harness/programs.ts';
import { type NcpatchRun, runNcpatch } from './ncpatch-run.ts';
import { PretendNextcloud } from './pretend-nextcloud.ts';

// The real program, script, files and PHP; only occ is a stand-in. With a real Nextcloud: watch.test.ts.
describe.runIf(isRoot() && hasProgram('php'))('ncpatch watch', { timeout: 120_000 }, () => {
  let nextcloud: PretendNextcloud;
  let folder: string;
  beforeAll(() => {
    nextcloud = new PretendNextcloud();
    folder = watchFolder(nextcloud.instanceId);
    const lines = [
      `  'version' => '33.0.1.1',`,
      `  'maintenance' => false,`,
      `  'instanceid' => '${nextcloud.instanceId}',`,
    ];
    writeFileSync(join(nextcloud.root, 'config/config.php'), `<?php\n$CONFIG = array (\n${lines.join('\n')}\n);\n`);
  });
  afterAll(() => {
    for (const path of traces()) rmSync(path, { recursive: true, force: true });
    nextcloud.remove();
  });

  const traces = (): string[] => [folder, ...watchPathsOutside(nextcloud.instanceId)];
  const there = (): string[] => traces().filter((path) => existsSync(path));
  const ncpatch = (argv: readonly string[], kill: { killAt?: number; afterMs?: number } = {}): Promise<NcpatchRun> =>
    runNcpatch([...argv, '--local', '--root', nextcloud.root, '--json'], kill);
  const ok = (done: NcpatchRun): Record<string, unknown> => {
    expect(done.stderr).not.toContain('error:');
    expect(done.exit).toBe(0);
    return JSON.parse(done.stdout) as Record<string, unknown>;
  };
  const runWatch = async () => {
    const { exit, stderr } = await run(['/bin/sh', join(folder, 'watch.sh'), folder], {
      timeoutMs: 60_000,
      allowExit: 'any',
    });
    return { exit, stderr };
  };

  test('install is refused where there is no app to look after', async () => {
    const refused = await ncpatch(['watch', 'install']);
    expect([refused.exit, JSON.parse(refused.stdout).error.code]).toEqual([3, 'app_not_loaded']);
    expect(there()).toEqual([]);
    expect(ok(await ncpatch(['watch', 'status']))).toMatchObject({ installed: false, looked: null });
  });

  test('install that is killed is undone by rollback', async () => {
    ok(await ncpatch(['apply']));
    expect((await ncpatch(['watch', 'install'], { killAt: 4 })).exit).toBeNull();
    expect(ok(await ncpatch(['rollback']))).toMatchObject({ outcome: 'undone', left: [] });
    expect(there()).toEqual([]);
  });

  test('install says first what it would do, does that, and the second time nothing', async () => {
    const { changes } = ok(await ncpatch(['watch', 'install', '--dry-run'])) as { changes: { what: string }[] };
    expect(there()).toEqual([]);
    const done = ok(await ncpatch(['watch', 'install'])) as { changes: { what: string }[] };
    expect(done.changes.map(({ what }) => what)).toEqual(changes.map(({ what }) => what));
    expect(there()).toHaveLength(2);
    expect((statSync(folder).mode & 0o777).toString(8)).toBe('700');
    expect(ok(await ncpatch(['watch', 'install'])).changes).toEqual([]);
  });

  test('the script puts the app back as apply had put it there', async () => {
    expect(await runWatch()).toEqual({ exit: 0, stderr: '' });
    const before = nextcloud.snapshot().filter((line) => line.includes('/apps'));
    expect(before.length).toBeGreaterThan(50);
    rmSync(join(nextcloud.root, 'apps/remotekeystorage'), { recursive: true });
    expect(await runWatch()).toEqual({ exit: 0, stderr: 'watch: the app was put back (loaded)\n' });
    expect(nextcloud.snapshot().filter((line) => line.includes('/apps'))).toEqual(before);
    expect(ok(await ncpatch(['apply']))).toMatchObject({ changed: false });
    expect(ok(await ncpatch(['watch', 'status']))).toMatchObject({
      installed: true,
      startedBy: [`/etc/cron.d/latchkey-watch-${nextcloud.instanceId}`],
      looked: { found: 'fine' },
      repaired: { proof: 'loaded', from: null, to: '33.0.1' },
      failing: null,
      closed: false,
    });
  });

  test('status ends with 1 while it cannot be put back', async () => {
    nextcloud.trouble({ status: 1 });
    rmSync(join(nextcloud.root, 'apps/remotekeystorage'), { recursive: true });
    expect((await runWatch()).exit).toBe(1);
    nextcloud.trouble({});
    const told = await ncpatch(['watch', 'status']);
    expect(told.exit).toBe(1);
    expect(JSON.parse(told.stdout)).toMatchObject({ failing: { failures: 1, code: 'app_gone' } });
    expect(ok(await ncpatch(['apply']))).toMatchObject({ changed: true });
  });

  test('remove takes all of it away, and the second time nothing', async () => {
    expect(ok(await ncpatch(['watch', 'remove'])).changes).toHaveLength(2);
    expect(there()).toEqual([]);
    expect(readdirSync('/var/lib/latchkey').filter((name) => name.includes(`watch-${nextcloud.instanceId}`))).toEqual(
      [],
    );
    expect(ok(await ncpatch(['watch', 'remove'])).changes).toEqual([]);
  });

  test('ncpatch remove takes the watch away with the app', async () => {
    ok(await ncpatch(['watch', 'install']));
    ok(await ncpatch(['remove']));
    expect([there(), nextcloud.appFiles()]).toEqual([[], null]);
  });
});
