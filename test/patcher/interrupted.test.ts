import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type LocalApp, readLocalApp } from '../../patcher/app-files.ts';
import { apply } from '../../patcher/apply.ts';
import { timerPaths } from '../../patcher/heartbeat-timer.ts';
import { openWorkplace } from '../../patcher/workplace.ts';
import { Cleanup } from '../harness/cleanup.ts';
import type { KeyServer } from '../harness/keyserver-process.ts';
import { WebDav } from '../harness/nextcloud-client.ts';
import { isRoot } from '../harness/nextcloud-files.ts';
import { instanceObstacle, NextcloudInstance } from '../harness/nextcloud-instance.ts';
import { listTrees } from '../harness/nextcloud-tree.ts';
import { type CuttableLine, sshdMissing, startCuttableLine, startSshd, type TestSshd } from '../harness/sshd.ts';
import { KeyHandover, leaveNoTraces } from './key-handover.ts';
import { type NcpatchRun, runNcpatch } from './ncpatch-run.ts';

// A real Nextcloud and a real key server; ncpatch is killed, or its app broken, at every step there is.
const tree = listTrees().at(-1);
const canRun = tree !== undefined && isRoot() && instanceObstacle() === null;
const PHP_APP = new URL('../../php-app', import.meta.url).pathname;
// the steps at which most has happened and least is settled; LATCHKEY_THOROUGH=1 kills at all of them
const thorough = process.env.LATCHKEY_THOROUGH === '1';
const killedAt = {
  apply: thorough ? [1, 2, 3, 4, 5] : [5],
  escrow: (thorough
    ? [
        [2, 0],
        [2, 900],
        [3, 300],
        [4, 200],
        [5, 0],
        [5, 900],
      ]
    : [[5, 900]]) as [number, number][],
  restore: (thorough
    ? [
        [1, 300],
        [2, 0],
        [2, 600],
      ]
    : [[2, 0]]) as [number, number][],
};
const cutAt = {
  apply: thorough ? [1, 2, 3, 4, 5, 6] : [],
  escrow: (thorough
    ? [
        [1, 100],
        [2, 100],
        [4, 100],
        [5, 300],
      ]
    : [[5, 300]]) as [number, number][],
};
/** Half a minute each, and each leaves things as it found them. */
const thoroughly = test.runIf(thorough);
const silent = { step: () => undefined, note: () => undefined };

describe.runIf(canRun)('ncpatch on a real nextcloud', { timeout: 300_000 }, () => {
  const cleanup = new Cleanup();
  const folder = mkdtempSync(join(tmpdir(), 'lk-interrupted-'));
  let nextcloud: NextcloudInstance;
  let keyServer: KeyServer;
  let master: string;
  /** Not where it would be by itself, so that a folder of the owner's choice is removed too. */
  const stateFolder = mkdtempSync(join(tmpdir(), 'lk-state-'));
  let sshd: TestSshd | null = null;
  let line: CuttableLine | null = null;
  let handover: KeyHandover;

  beforeAll(async () => {
    if (tree === undefined) throw new Error('no tree');
    cleanup.add(folder, () => rmSync(folder, { recursive: true, force: true }));
    nextcloud = await NextcloudInstance.install(tree, { cleanup, keepsCode: true });
    await nextcloud.enableEncryption();
    await nextcloud.occ(['encryption:status']);
    const { instanceId } = nextcloud;
    rmSync(stateFolder, { recursive: true });
    await nextcloud.occ(['config:system:set', 'remotekeystorage.dir', '--value', stateFolder]);
    leaveNoTraces(cleanup, instanceId, [stateFolder]);
    handover = await KeyHandover.open(folder, cleanup);
    ({ keyServer } = handover);
    if (sshdMissing() === null) {
      sshd = await startSshd();
      line = await startCuttableLine(sshd.port);
      writeFileSync(join(folder, 'known'), `[127.0.0.1]:${line.port} ${sshd.hostKey}\n`);
      for (const one of [sshd, line]) cleanup.add('line', () => ('stop' in one ? one.stop() : one.close()));
    }
    master = `${await nextcloud.appValue('encryption', 'masterKeyId')}.privateKey`;
  }, 300_000);
  afterAll(async () => {
    expect(await cleanup.run()).toEqual([]);
  }, 120_000);

  const ncpatch = (command: string, more: readonly string[] = [], kill: { killAt?: number; afterMs?: number } = {}) =>
    runNcpatch([command, '--local', '--root', nextcloud.root, '--json', ...more], kill);
  /** Over ssh, on a line that is cut some time after the n-th step was told. */
  const overLine = (command: string, more: readonly string[], killAt: number, afterMs: number) => {
    const login = ['--ssh', `root@127.0.0.1:${line?.port}`, '--identity', sshd?.identity ?? ''];
    const argv = [
      command,
      ...login,
      '--known-hosts',
      join(folder, 'known'),
      '--root',
      nextcloud.root,
      '--json',
      ...more,
    ];
    return runNcpatch(argv, { killAt, afterMs, instead: () => line?.cut() });
  };
  const json = (run: NcpatchRun): Record<string, unknown> => {
    expect(run.stderr).not.toContain('error:');
    expect(run.exit).toBe(0);
    return JSON.parse(run.stdout) as Record<string, unknown>;
  };
  const appFolders = (): string[] =>
    ['apps', 'custom_apps']
      .map((name) => join(nextcloud.root, name))
      .filter((path) => existsSync(path))
      .flatMap((path) => readdirSync(path).filter((name) => name.includes('remotekeystorage')));
  const deleteApp = (): void => {
    for (const name of ['apps', 'custom_apps']) {
      rmSync(join(nextcloud.root, name, 'remotekeystorage'), { recursive: true, force: true });
    }
  };
  const onDisk = (): boolean => existsSync(join(nextcloud.dataFolder, 'files_encryption', 'OC_DEFAULT_MODULE', master));
  const onKeyServer = async (): Promise<boolean> => (await keyServer.command(['key', 'list'])).stdout.includes(master);

  async function applyInProcess(
    change: (app: LocalApp) => LocalApp,
    onStep: () => void = () => undefined,
  ): Promise<unknown> {
    const place = await openWorkplace({ local: true, root: nextcloud.root }, { prompter: null, env: {} });
    const by = { user: 'test', machine: 'test', pid: process.pid };
    try {
      const app = change(await readLocalApp(PHP_APP));
      return await apply(place, app, {
        progress: { ...silent, step: onStep },
        by,
        now: Date.now,
        random: randomBytes,
        takeOver: false,
      });
    } finally {
      await place.close();
    }
  }
  const withFile =
    (path: string, edit: (text: string) => string, version?: string) =>
    (app: LocalApp): LocalApp => ({
      ...app,
      app: {
        version: version ?? app.app.version,
        content: { ...app.app.content, [path]: randomBytes(4).toString('hex') },
      },
      files: app.files.map((file) =>
        file.path === path ? { ...file, data: Buffer.from(edit(file.data.toString('utf8'))) } : file,
      ),
    });

  test.each(killedAt.apply)('apply killed in step %i: rollback leaves nothing of it', async (killAt) => {
    const cut = await ncpatch('apply', [], { killAt, afterMs: killAt * 40 });
    expect(cut.exit).toBeNull();
    json(await ncpatch('rollback'));
    expect(appFolders()).toEqual([]);
    expect(timerPaths(nextcloud.instanceId).filter((path) => existsSync(path))).toEqual([]);
    expect(existsSync(stateFolder)).toBe(false);
    expect((await nextcloud.occ(['config:app:get', 'remotekeystorage', 'enabled'], { anyExit: true })).exit).toBe(1);
  });

  test.skipIf(sshdMissing() !== null).each(cutAt.apply)(
    'apply whose line is cut in step %i: rollback leaves nothing of it',
    async (step) => {
      const cut = await overLine('apply', [], step, step * 40);
      expect([cut.exit, JSON.parse(cut.stdout)]).toMatchObject([1, { error: { code: 'connection_lost' } }]);
      json(await ncpatch('rollback'));
      expect(appFolders()).toEqual([]);
      expect(timerPaths(nextcloud.instanceId).filter((path) => existsSync(path))).toEqual([]);
      expect(existsSync(stateFolder)).toBe(false);
    },
  );

  thoroughly('an app that does not load is taken away again at once', async () => {
    const broken = withFile('lib/AppInfo/Application.php', (text) => `${text}\nthis is no PHP`);
    await expect(applyInProcess(broken)).rejects.toThrow();
    expect(appFolders()).toEqual([]);
    expect((await nextcloud.occ(['status', '--output=json'])).stdout).toContain('"maintenance":false');
  });

  test('apply killed in the middle is ended by the next apply; after that there is nothing to do', async () => {
    expect((await ncpatch('apply', [], { killAt: 3 })).exit).toBeNull();
    expect(json(await ncpatch('apply'))).toMatchObject({ changed: true, verification: { hook: 'app' } });
    expect(json(await ncpatch('apply'))).toMatchObject({ changed: false, done: [] });
  });

  thoroughly('another version of the app goes in with its upgrade, and the way back as well', async () => {
    const newer = withFile('appinfo/info.xml', (text) => text.replace(/<version>[^<]+/, '<version>1.0.99'), '1.0.99');
    await expect(applyInProcess(newer)).resolves.toMatchObject({ changed: true });
    expect(await nextcloud.appValue('remotekeystorage', 'installed_version')).toBe('1.0.99');
    expect(json(await ncpatch('apply'))).toMatchObject({ changed: true });
    expect(await nextcloud.appValue('remotekeystorage', 'installed_version')).toBe('1.0.0');
  });

  test('escrow before enrolment is refused', async () => {
    const refused = await ncpatch('escrow', ['--copy', handover.copy, '--grant-file', handover.files.grant]);
    expect(refused.exit).toBe(3);
    expect(JSON.parse(refused.stdout)).toMatchObject({ error: { code: 'not_enrolled' } });
  });

  test('enroll', async () => {
    const report = json(await ncpatch('enroll', handover.enrolment));
    expect(report).toMatchObject({ keys: [] });
  });

  const escrow = (kill: { killAt?: number; afterMs?: number } = {}): Promise<NcpatchRun> =>
    ncpatch('escrow', handover.escrow, kill);

  test.each(killedAt.escrow)('escrow killed in step %i after %i ms: the key is somewhere', async (killAt, afterMs) => {
    await escrow({ killAt, afterMs });
    expect(onDisk() || (await onKeyServer())).toBe(true);
    if (!onDisk()) expect(existsSync(join(folder, 'copy'))).toBe(true);
    expect((await nextcloud.occ(['encryption:status'])).exit).toBe(0);
  });

  test.skipIf(sshdMissing() !== null).each(cutAt.escrow)(
    'escrow whose line is cut in step %i after %i ms: the key is somewhere',
    async (step, afterMs) => {
      await overLine('escrow', handover.escrow, step, afterMs);
      expect(onDisk() || (await onKeyServer())).toBe(true);
      if (!onDisk()) expect(existsSync(join(folder, 'copy'))).toBe(true);
    },
  );

  test('escrow run to its end: the key is on the key server only, and apply and verify use it', async () => {
    json(await escrow());
    expect(onDisk()).toBe(false);
    expect(json(await ncpatch('apply'))).toMatchObject({
      changed: false,
      verification: { release: { ms: expect.any(Number) } },
    });
  });

  test('remove is refused then', async () => {
    const refused = await ncpatch('remove');
    expect(refused.exit).toBe(3);
    expect(JSON.parse(refused.stdout)).toMatchObject({ error: { code: 'keys_on_key_server' } });
    expect(appFolders()).toHaveLength(1);
  });

  thoroughly('apply brings the app back after it was switched off and deleted', async () => {
    await nextcloud.occ(['app:disable', 'remotekeystorage']);
    deleteApp();
    expect(json(await ncpatch('status'))).toMatchObject({
      state: 'absent',
      keysAway: expect.arrayContaining([master]),
    });
    expect(json(await ncpatch('apply'))).toMatchObject({ changed: true, verification: { decrypt: true } });
  });

  const isClosed = async (): Promise<boolean> => (await nextcloud.systemValue('maintenance')) === 'true';

  test('apply behind maintenance mode releases and decrypts, and leaves it on', async () => {
    await nextcloud.occ(['app:disable', 'remotekeystorage']);
    await nextcloud.occ(['maintenance:mode', '--on']);
    const report = json(await ncpatch('apply'));
    expect(report).toMatchObject({ changed: true, maintenance: true, verification: { decrypt: true } });
    expect(await isClosed()).toBe(true);
    await nextcloud.occ(['maintenance:mode', '--off']);
  });

  test('while the app is away nobody can overwrite a file: the web is closed until it is back', async () => {
    await nextcloud.serve();
    const dav = () => new WebDav(nextcloud.address, nextcloud.admin, { session: false });
    expect((await dav().put('kept.txt', 'what was written first')).status).toBe(201);
    await nextcloud.occ(['app:disable', 'remotekeystorage']);
    deleteApp();
    const during: Promise<number>[] = [];
    let steps = 0;
    const report = await applyInProcess(
      (app) => app,
      () => {
        // the first step closes the web, the last opens it
        if (steps++ > 0)
          during.push(
            dav()
              .put('kept.txt', '')
              .then(({ status }) => status),
          );
      },
    );
    expect(report).toMatchObject({ changed: true, maintenance: false, verification: { decrypt: true } });
    const answers = await Promise.all(during);
    expect(answers.length).toBeGreaterThan(3);
    expect(new Set(answers)).toEqual(new Set([503]));
    expect((await dav().get('kept.txt')).body.toString()).toBe('what was written first');
    await nextcloud.stopServing();
  });

  thoroughly('a repair that fails leaves the web closed, as long as there is no app', async () => {
    deleteApp();
    const broken = withFile('lib/AppInfo/Application.php', (text) => `${text}\nthis is no PHP`);
    await expect(applyInProcess(broken)).rejects.toThrow();
    expect([appFolders(), await isClosed()]).toEqual([[], true]);
    expect(json(await ncpatch('apply'))).toMatchObject({ changed: true, maintenance: true });
    await nextcloud.occ(['maintenance:mode', '--off']);
  });

  thoroughly('a key server that is away does not undo a repair', async () => {
    await keyServer.stop();
    deleteApp();
    const run = await ncpatch('apply');
    expect(run.exit).toBe(1);
    expect(JSON.parse(run.stdout)).toMatchObject({
      changed: true,
      verification: { hook: 'app', release: null, untried: { code: 'unreachable' } },
    });
    expect([appFolders().length, await isClosed()]).toEqual([1, false]);
    await keyServer.start();
    expect(json(await ncpatch('verify'))).toMatchObject({ decrypt: true, untried: null });
  });

  test.each(killedAt.restore)(
    'restore killed in step %i after %i ms: the key is somewhere',
    async (killAt, afterMs) => {
      await ncpatch('restore', [], { killAt, afterMs });
      expect(onDisk() || (await onKeyServer())).toBe(true);
    },
  );

  test("restore with the owner's copy works without the key server and without the app; remove leaves nothing but the journal", async () => {
    await keyServer.stop();
    await nextcloud.occ(['app:disable', 'remotekeystorage']);
    deleteApp();
    json(await ncpatch('restore', ['--from-copy', handover.copy, '--copy-passphrase-file', handover.files.passphrase]));
    expect(onDisk()).toBe(true);
    json(await ncpatch('remove'));
    expect(appFolders()).toEqual([]);
    expect(timerPaths(nextcloud.instanceId).filter((path) => existsSync(path))).toEqual([]);
    expect(existsSync(stateFolder)).toBe(false);
    expect(existsSync(`/var/lib/latchkey/${nextcloud.instanceId}`)).toBe(false);
    expect(await nextcloud.systemValue('remotekeystorage.dir')).toBe('');
    expect((await nextcloud.occ(['background-job:list', '--output=json'])).stdout).not.toContain('RemoteKey');
  });
});
