import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { probeCopies } from '../../patcher/doctor/copies-probe.ts';
import { copiesFindings } from '../../patcher/doctor/keys-on-disk.ts';
import { admit } from '../../patcher/doctor/patient.ts';
import { mend } from '../../patcher/doctor/repairs.ts';
import { openWorkplace } from '../../patcher/workplace.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { isRoot, webUser } from '../harness/nextcloud-files.ts';
import { instanceObstacle, NextcloudInstance } from '../harness/nextcloud-instance.ts';
import { listTrees } from '../harness/nextcloud-tree.ts';
import { makeUser, sshdMissing, startSshd } from '../harness/sshd.ts';
import { KeyHandover, leaveNoTraces } from './key-handover.ts';
import { type NcpatchRun, runNcpatch } from './ncpatch-run.ts';

// A real Nextcloud whose keys have moved to a real key server, and copies of them planted where they are left in practice.
const tree = listTrees().at(-1);
const canRun = tree !== undefined && isRoot() && instanceObstacle() === null;
const PEM = `-----BEGIN PRIVATE KEY-----\\n${randomBytes(24).toString('base64')}`;

interface Found {
  readonly code: string;
  readonly level: string;
  readonly what: string;
  readonly fix: string | null;
  readonly seen: readonly string[];
  readonly fixable: boolean;
}
interface Answer {
  readonly healthy: boolean;
  readonly nextcloud: { readonly version: string | null };
  readonly groups: readonly { readonly group: string; readonly findings: readonly Found[] }[];
  readonly done?: readonly string[];
}

describe.runIf(canRun)('ncpatch doctor on a real nextcloud', { timeout: 600_000 }, () => {
  const cleanup = new Cleanup();
  const folder = mkdtempSync(join(tmpdir(), 'lk-doctor-'));
  let nextcloud: NextcloudInstance;
  let state: string;
  let kept: string;
  const secrets: string[] = [PEM.slice(-32)];

  const options = (): string[] => ['--local', '--root', nextcloud.root, '--json'];
  const doctor = (...more: string[]): Promise<NcpatchRun> => runNcpatch(['doctor', ...options(), ...more]);
  const read = (run: NcpatchRun, exit: number): Answer => {
    expect(run.stderr).not.toContain('error:');
    expect(run.exit).toBe(exit);
    for (const secret of secrets) expect(run.stdout + run.stderr).not.toContain(secret);
    return JSON.parse(run.stdout) as Answer;
  };
  const all = (answer: Answer): Found[] => answer.groups.flatMap(({ findings }) => [...findings]);
  const codes = (answer: Answer, level: string): string[] =>
    all(answer)
      .filter((one) => one.level === level)
      .map(({ code }) => code);
  const ours = (paths: readonly string[]): string[] => paths.filter((path) => path.includes(nextcloud.base));
  const seenBy = (answer: Answer, code: string): readonly string[] =>
    all(answer).find((one) => one.code === code)?.seen ?? [];
  const mode = (path: string): number => statSync(path).mode & 0o777;

  beforeAll(async () => {
    if (tree === undefined) throw new Error('no tree');
    cleanup.add(folder, () => rmSync(folder, { recursive: true, force: true }));
    nextcloud = await NextcloudInstance.install(tree, { cleanup });
    await nextcloud.enableEncryption();
    await nextcloud.occ(['encryption:status']);
    state = `/var/lib/latchkey/${nextcloud.instanceId}`;
    leaveNoTraces(cleanup, nextcloud.instanceId);
    const handover = await KeyHandover.open(folder, cleanup);
    kept = join(folder, 'kept');
    cpSync(join(nextcloud.dataFolder, 'files_encryption'), kept, { recursive: true });
    const moved = async (command: string, ...more: string[]): Promise<void> => {
      const run = await runNcpatch([command, ...options(), ...more]);
      expect(run.stderr).not.toContain('error:');
      expect(run.exit).toBe(0);
    };
    await moved('apply');
    await moved('enroll', ...handover.enrolment);
    await moved('escrow', ...handover.escrow);
    await nextcloud.occ(['remotekey:heartbeat']);
    // as the first run of cron.php leaves it, without what its jobs do meanwhile
    await nextcloud.occ(['background:cron']);
    await nextcloud.occ(['config:app:set', 'core', 'lastcron', '--value', String(Math.floor(Date.now() / 1000))]);
    secrets.push(await nextcloud.systemValue('secret'), await nextcloud.systemValue('passwordsalt'));
    secrets.push(/"token":\s*"([^"]+)"/.exec(readFileSync(join(state, 'client.json'), 'utf8'))?.[1] ?? '');
    expect(secrets.every((secret) => secret.length > 20)).toBe(true);
  }, 600_000);
  afterAll(async () => {
    expect(await cleanup.run()).toEqual([]);
  }, 120_000);

  test('a healthy one ends with 0, with a real release and nothing bad', async () => {
    rmSync(kept, { recursive: true });
    const answer = read(await doctor(), 0);
    expect(answer.healthy).toBe(true);
    expect(codes(answer, 'bad')).toEqual([]);
    expect(codes(answer, 'ok')).toEqual(
      expect.arrayContaining([
        'hook',
        'release',
        'canary',
        'no_key_on_disk',
        'logs_clean',
        'state_closed',
        'heartbeat',
        'jobs',
      ]),
    );
    expect(ours(seenBy(answer, 'key_copy'))).toEqual([]);
    expect(ours(seenBy(answer, 'config_copy'))).toEqual([]);
    // the key server of this test is on the same machine, which is told
    expect(codes(answer, 'warn')).toContain('key_server_here');
  });

  test('the page of people is told in 100 columns, without colour where there is no terminal', async () => {
    const run = await runNcpatch([
      'doctor',
      '--local',
      '--root',
      nextcloud.root,
      '--no-release',
      '--group',
      'release,php',
    ]);
    expect(run).toMatchObject({ exit: 0, stderr: '' });
    expect(run.stdout).toContain(
      'keys by the key server\n?     the key server was not asked (--no-release) (release_unasked)\n',
    );
    expect(run.stdout).not.toContain('copies of keys');
    expect(run.stdout).not.toContain('\u001b');
    for (const line of run.stdout.split('\n')) if (line.includes(' ')) expect(line.length).toBeLessThanOrEqual(100);
  });

  test('a group that is none is refused', async () => {
    const run = await doctor('--group', 'everything');
    expect(run.exit).toBe(2);
    expect(JSON.parse(run.stdout)).toMatchObject({ error: { code: 'invalid_request', field: '--group' } });
  });

  test('planted copies are all found, the same by ssh as a user with sudo', async () => {
    const { base, dataFolder, instanceId, root } = nextcloud;
    const config = join(root, 'config/config.php');
    const key = `${await nextcloud.appValue('encryption', 'masterKeyId')}.privateKey`;
    const plant = (path: string, put: (path: string) => void): string => {
      mkdirSync(join(path, '..'), { recursive: true });
      put(path);
      return path;
    };
    const write = (text: string | Buffer) => (path: string) => writeFileSync(path, text);
    const planted = {
      beside: plant(join(base, 'backup/files_encryption/OC_DEFAULT_MODULE', key), write('key')),
      renamed: plant(join(dataFolder, 'files_encryption/OC_DEFAULT_MODULE', `${key}.bak`), write('key')),
      updater: plant(join(dataFolder, `updater-${instanceId}/backups/nextcloud-31.0.0-1/config/config.php`), (path) =>
        copyFileSync(config, path),
      ),
      config: plant(join(root, 'config/config.php.orig'), (path) => copyFileSync(config, path)),
      log: plant(join(dataFolder, 'nextcloud.log.1'), write(`{"a":1}\n{"args":["${PEM}"]}\n`)),
      packed: plant(join(dataFolder, 'nextcloud.log.2.gz'), write(gzipSync(`${PEM}\n`))),
      archive: plant(join(dataFolder, 'ncp-update-backups/nextcloud-bkp_20260101.tar'), write('tar')),
    };
    // a file that people keep is theirs, whatever its name
    const kept = plant(join(dataFolder, 'admin/files', key), write('mine'));
    const strange = plant(
      join(base, 'backup/other/config.php'),
      write("<?php $CONFIG = ['instanceid' => 'ocsomebodyelse'];"),
    );
    const check = (answer: Answer): void => {
      expect(codes(answer, 'bad').toSorted()).toEqual(['key_copy', 'log_holds_key']);
      expect(ours(seenBy(answer, 'key_copy')).toSorted()).toEqual([planted.beside, planted.renamed].toSorted());
      expect(ours(seenBy(answer, 'log_holds_key')).toSorted()).toEqual([
        `${planted.log}: 1 time, first in line 2`,
        `${planted.packed}: 1 time, first in line 1`,
      ]);
      expect(ours(seenBy(answer, 'updater_backup'))).toEqual([join(planted.updater, '../..')]);
      expect(ours(seenBy(answer, 'config_copy'))).toContain(planted.config);
      expect(ours(seenBy(answer, 'backup_archive'))).toEqual([planted.archive]);
      const everything = JSON.stringify(answer);
      expect(everything).not.toContain(kept);
      expect(everything).not.toContain(strange);
    };
    check(read(await doctor('--group', 'copies'), 1));
    if (sshdMissing() === null) {
      const sshd = await startSshd();
      const user = makeUser({ sudo: 'free' });
      try {
        const line = ['--ssh', `${user.name}@${sshd.address}:${sshd.port}`, '--identity', sshd.identity];
        const known = ['--known-hosts', sshd.knownHosts, '--sudo', '--root', nextcloud.root, '--json'];
        check(read(await runNcpatch(['doctor', ...line, ...known, '--group', 'copies']), 1));
      } finally {
        user.remove();
        await sshd.stop();
      }
    }
    for (const path of Object.values(planted)) expect(existsSync(path)).toBe(true);
    for (const path of [...Object.values(planted), kept, strange]) rmSync(path);
    rmSync(join(dataFolder, `updater-${instanceId}`), { recursive: true });
  });

  test('sessions from before the escrow are told from younger ones', async () => {
    const place = await openWorkplace({ local: true, root: nextcloud.root }, { prompter: null, env: {} });
    try {
      const patient = await admit(place.instance, () => place.facts());
      const sessions = join(nextcloud.base, 'sessions');
      const web = { ...patient.web, sessionHandler: 'files', sessionPath: sessions } as NonNullable<typeof patient.web>;
      const look = async () =>
        copiesFindings(await probeCopies({ ...patient, web }), Date.now()).filter(({ code }) =>
          code.startsWith('sessions_'),
        );
      writeFileSync(join(sessions, 'sess_new'), 'x');
      expect(await look()).toMatchObject([{ code: 'sessions_new', level: 'ok' }]);
      writeFileSync(join(sessions, 'sess_old'), 'x');
      utimesSync(join(sessions, 'sess_old'), 1_700_000_000, 1_700_000_000);
      const [finding] = await look();
      expect(finding).toMatchObject({ code: 'sessions_hold_key', level: 'bad', seen: [`${sessions}: 2`] });
      expect(finding?.what).toMatch(/^1 of 2 sessions are from before the escrow/);
    } finally {
      await place.close();
    }
  });

  test('--fix closes what is open as one change, and looks again', async () => {
    const files = [state, join(state, 'client.json'), join(state, 'heartbeat.json')];
    for (const path of files) chmodSync(path, mode(path) | 0o044);
    const fixed = read(await doctor('--fix', '--group', 'credentials'), 0);
    expect(fixed.done).toHaveLength(3);
    expect(files.map(mode)).toEqual([0o700, 0o600, 0o600]);
    expect(codes(fixed, 'ok')).toContain('state_closed');
  });

  test('a repair after which it is still so is undone', async () => {
    const path = join(state, 'heartbeat.json');
    chmodSync(path, 0o644);
    const place = await openWorkplace({ local: true, root: nextcloud.root }, { prompter: null, env: {} });
    const repair = { kind: 'close_path', path, mode: 0o600, owner: webUser.name } as const;
    const finding = { code: 'state_mode', level: 'bad', what: 'open', why: '', fix: null, seen: [], repair } as const;
    const reports = [{ group: 'credentials', findings: [finding] }] as const;
    let seen = 0;
    const lookAgain = async () => {
      seen = mode(path);
      return reports;
    };
    const by = { user: 'test', machine: 'test', pid: process.pid };
    const progress = { step: () => undefined, note: () => undefined };
    try {
      const deps = { progress, by, now: Date.now, random: randomBytes, takeOver: false };
      await expect(mend(place, reports, lookAgain, deps)).rejects.toMatchObject({ code: 'fix_failed' });
    } finally {
      await place.close();
    }
    expect(seen).toBe(0o600);
    expect(mode(path)).toBe(0o644);
    chmodSync(path, 0o600);
  });

  describe('that is broken', () => {
    const config = (): string => join(nextcloud.root, 'config/config.php');
    const restore = (text: Buffer): void => {
      writeFileSync(config(), text);
      chownSync(config(), webUser.uid, webUser.gid);
      chmodSync(config(), 0o640);
    };

    // the first of them always, the others by LATCHKEY_THOROUGH=1
    const damages: readonly (readonly [name: string, damage: () => void, code: string])[] = [
      ['occ dies of a config.php that is no PHP', () => appendFileSync(config(), 'no php('), 'occ_failed'],
      ['config.php belongs to nobody', () => chownSync(config(), 47_110, 47_110), 'owner_unknown'],
      ['config.php is gone', () => rmSync(config()), 'not_installed'],
    ];
    const thorough = process.env.LATCHKEY_THOROUGH === '1';
    test.each(thorough ? damages : damages.slice(0, 1))('still gets its page: %s', async (_, damage, code) => {
      const before = readFileSync(config());
      try {
        damage();
        const answer = read(await doctor(), 1);
        expect(answer.groups.map(({ group }) => group)).toHaveLength(9);
        expect(answer.nextcloud.version).toBeNull();
        expect(all(answer).find((one) => one.code === 'nextcloud_broken')?.what).toContain(code);
        expect(codes(answer, 'unknown')).toContain('release_untried');
        expect(codes(answer, 'ok')).toContain('clock');
      } finally {
        restore(before);
      }
    });

    test.runIf(thorough)('in maintenance mode it is looked at as ever', async () => {
      await nextcloud.occ(['maintenance:mode', '--on']);
      try {
        const answer = read(await doctor('--group', 'nextcloud,release'), 0);
        expect(codes(answer, 'warn')).toContain('maintenance_mode');
        expect(codes(answer, 'ok')).toEqual(expect.arrayContaining(['release', 'canary']));
      } finally {
        await nextcloud.occ(['maintenance:mode', '--off']);
      }
    });
  });
});
