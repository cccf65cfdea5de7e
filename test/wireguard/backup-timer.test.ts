import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../platform/run.ts';
import { type TimerFacts, timerFiles } from '../../wireguard/backup/timer-text.ts';
import { addBackupTimerCommand } from '../../wireguard/commands/backup-timer.ts';
import { hasProgram } from '../harness/programs.ts';
import { verifyUnits } from '../harness/unit-verification.ts';
import { runCommand } from '../keyserver/command-runner.ts';
import { makeHub } from './made-hub.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lk-timer-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Paths that every one of these files has to spell in its own way. */
const facts = (): TimerFacts => ({
  node: process.execPath,
  root: join(import.meta.dirname, '../..'),
  data: join(folder, 'a hub 100% $HOME'),
  folder: join(folder, "100% its <backups> & it's"),
  user: 'root',
  at: '03:15',
  words: ['--keep', '30', '--backup-keyfile', '/etc/latchkey/backup.key'],
});
const texts = (platform: 'linux' | 'macos' | 'cron') => timerFiles(platform, facts()).map(({ text }) => text);

describe('timerFiles()', () => {
  it('refuses a path that no such file can hold', () => {
    for (const platform of ['linux', 'macos', 'cron'] as const) {
      expect(() => timerFiles(platform, { ...facts(), folder: '/a\nExecStart=/b' })).toThrow('control characters');
    }
  });

  it.skipIf(!hasProgram('systemd-analyze'))(
    'are units that systemd takes, and complains about when a word is wrong',
    async () => {
      const units = Object.fromEntries(
        timerFiles('linux', facts()).map(({ path, text }) => [basename(path ?? ''), text]),
      );
      expect(Object.keys(units)).toEqual(['latchkey-hub-backup.service', 'latchkey-hub-backup.timer']);
      const ours = (said: string) => said.split('\n').filter((line) => line.includes('latchkey-hub-backup'));
      expect(ours(await verifyUnits(units))).toEqual([]);
      const [service = '', timer = ''] = Object.values(units);
      const wrong = {
        'latchkey-hub-backup.service': service,
        'latchkey-hub-backup.timer': timer.replace('03:15', '33:15'),
      };
      expect(ours(await verifyUnits(wrong))).not.toEqual([]);
    },
  );

  it.skipIf(!hasProgram('python3'))('are a property list that says what was meant', async () => {
    const read = 'import json, plistlib, sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))';
    const said = await run(['python3', '-c', read], { input: texts('macos')[0] ?? '', timeoutMs: 30_000 });
    const plist = JSON.parse(said.stdout.toString());
    expect(plist).toMatchObject({ UserName: 'root', Umask: 0o077, StartCalendarInterval: { Hour: 3, Minute: 15 } });
    const { data, folder: target } = facts();
    expect(plist.ProgramArguments.slice(3)).toEqual([
      'backup',
      '--data',
      data,
      '--folder',
      target,
      '--keep',
      '30',
      '--backup-keyfile',
      '/etc/latchkey/backup.key',
    ]);
  });

  it('are a line of a crontab, silent when all is well and loud when it is not', async () => {
    const hub = await makeHub();
    try {
      const target = facts().folder;
      mkdirSync(target);
      const [line = ''] = timerFiles('cron', {
        ...facts(),
        data: hub.at('hub'),
        words: ['--keep', '3', '--backup-keyfile', hub.backupKeyfile],
      }).map(({ text }) => text);
      expect(line).toMatch(/^15 3 \* \* \* [^\n]*\n$/);
      const command = line.slice('15 3 * * * '.length).replaceAll('\\%', '%'); // what cron makes of it
      const shell = (text: string) => run(['sh', '-c', text], { timeoutMs: 60_000, allowExit: 'any' });
      const well = await shell(command);
      expect({ exit: well.exit, said: well.stdout.toString() + well.stderr }).toEqual({ exit: 0, said: '' });
      expect(readdirSync(target)).toEqual([expect.stringMatching(/^wghub-hub-.*\.backup$/)]);
      const ill = await shell(command.replace('backup-key', 'no-key'));
      expect(ill.exit).toBe(1);
      expect(ill.stdout.toString()).toContain('wghub: error: ');
    } finally {
      await hub.remove();
    }
  });
});

describe('wghub backup-timer', () => {
  const timer = (...words: string[]) =>
    runCommand(addBackupTimerCommand, ['backup-timer', '--data', '/var/lib/hub', '--folder', '/mnt/b', ...words]);

  it.each<[string, string[], string]>([
    ['nothing to seal them by', [], 'exactly one way'],
    ['two ways', ['--backup-keyfile', 'a', '--age-recipient', 'age1x'], 'exactly one way'],
    ['an account that is none', ['--backup-keyfile', 'a', '--user', 'x\nUser=root'], '"--user"'],
    ['a time that is none', ['--backup-keyfile', 'a', '--at', '24:00'], '"--at"'],
    ['to keep none', ['--backup-keyfile', 'a', '--keep', '0'], '"--keep"'],
    ['a system nobody knows', ['--backup-keyfile', 'a', '--platform', 'beos'], 'Allowed choices'],
  ])('refuses %s', async (_, words, text) => {
    const said = await timer(...words);
    expect(said).toMatchObject({ exit: 2, stdout: '' });
    expect(said.stderr).toContain(text);
  });

  it('prints each file with its place, and how it is installed', async () => {
    const said = await timer('--platform', 'linux', '--age-recipient', 'age1x');
    expect(said.stdout).toContain('# /etc/systemd/system/latchkey-hub-backup.service\n');
    expect(said.stdout).toContain('# /etc/systemd/system/latchkey-hub-backup.timer\n');
    expect(said.stdout).toContain('"--folder" "/mnt/b" "--keep" "30" "--age-recipient" "age1x"\n');
    expect(said.stderr).toContain('systemctl enable --now latchkey-hub-backup.timer');
    const json = JSON.parse((await timer('--platform', 'macos', '--backup-keyfile', '/k', '--json')).stdout);
    expect(json.files).toEqual([
      { path: '/Library/LaunchDaemons/latchkey.hub-backup.plist', text: expect.any(String) },
    ]);
  });
});
