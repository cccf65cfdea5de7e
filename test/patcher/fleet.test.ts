import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cleanup } from '../harness/cleanup.ts';
import { freePort } from '../harness/free-port.ts';
import { hasProgram } from '../harness/programs.ts';
import { makePhpLean } from '../harness/quick-php.ts';
import { makeKey, sshdMissing, startSshd, type TestSshd } from '../harness/sshd.ts';
import { type NcpatchRun, runNcpatch } from './ncpatch-run.ts';
import { PretendNextcloud } from './pretend-nextcloud.ts';

const missing = sshdMissing() ?? (hasProgram('php') ? null : 'php is not installed');

interface Row {
  readonly host: string;
  readonly outcome: string;
  readonly exit: number | null;
  readonly what: string;
  readonly result: unknown;
}

describe.skipIf(missing !== null)(
  `a fleet over real sshds${missing === null ? '' : ` (${missing})`}`,
  { timeout: 90_000 },
  () => {
    const cleanup = new Cleanup();
    const folder = mkdtempSync(join(tmpdir(), 'lk-fleet-'));
    const nextclouds = new Map<string, PretendNextcloud>();
    let inventory: string;

    const host = (name: string, sshd: TestSshd, nextcloud: PretendNextcloud | null, more: object = {}): object => ({
      name,
      ssh: `root@${sshd.address}:${sshd.port}`,
      identity: sshd.identity,
      knownHosts: sshd.knownHosts,
      ...(nextcloud === null ? {} : { root: nextcloud.root }),
      ...more,
    });

    beforeAll(async () => {
      cleanup.add(folder, () => rmSync(folder, { recursive: true, force: true }));
      makePhpLean(cleanup);
      const sshds = [await startSshd(), await startSshd()] as const;
      for (const sshd of sshds) cleanup.add('sshd', () => sshd.stop());
      const [one, two] = sshds;
      for (const name of ['a', 'b', 'breaks', 'hangs']) {
        const nextcloud = new PretendNextcloud();
        cleanup.add(name, () => nextcloud.remove());
        nextclouds.set(name, nextcloud);
      }
      const at = (name: string): PretendNextcloud => nextclouds.get(name) ?? new PretendNextcloud();
      at('breaks').trouble({ 'app:enable': 1 });
      at('hangs').trouble({ status: 'hangs' });
      makeKey(join(folder, 'sealed'), 'ed25519', 'a passphrase');
      const hosts = [
        host('a', one, at('a'), { labels: ['good'] }),
        host('breaks', one, at('breaks')),
        host('away', one, null, { ssh: `root@127.0.0.1:${await freePort()}` }),
        host('stranger', two, null, { knownHosts: 'nobody' }),
        host('sealed', one, null, { identity: 'sealed', root: '/nowhere' }),
        host('b', two, at('b'), { labels: ['good'] }),
        host('hangs', two, at('hangs')),
      ];
      inventory = join(folder, 'inventory.json');
      writeFileSync(inventory, JSON.stringify({ hosts }, null, 2), { mode: 0o644 });
    });
    afterAll(async () => {
      expect(await cleanup.run()).toEqual([]);
    });

    const fleet = (command: string, ...more: string[]): Promise<NcpatchRun> =>
      runNcpatch([...command.split(' '), '--inventory', inventory, ...more]);
    const rows = (run: NcpatchRun): Row[] => JSON.parse(run.stdout) as Row[];

    test('what goes wrong on one host does not keep the others from it', async () => {
      const run = await fleet('apply', '--only', 'a,breaks,away,stranger,sealed,b', '--json');
      expect(run.exit).toBe(1);
      expect(rows(run).map(({ host: name, outcome, exit }) => [name, outcome, exit])).toEqual([
        ['a', 'ok', 0],
        ['breaks', 'failed', 1],
        ['away', 'failed', 1],
        ['stranger', 'refused', 3],
        ['sealed', 'failed', 1],
        ['b', 'ok', 0],
      ]);
      const codes = rows(run).map(({ result }) => (result as { error?: { code: string } }).error?.code);
      expect(codes).toEqual([
        undefined,
        'occ_failed',
        'connect_failed',
        'host_key_unknown',
        'identity_unusable',
        undefined,
      ]);
      const deployed = [...nextclouds].filter(([, { root }]) => existsSync(join(root, 'apps/remotekeystorage')));
      expect(deployed.map(([name]) => name)).toEqual(['a', 'b']);
      expect(nextclouds.get('breaks')?.journalLeft()).toEqual([]);
    });

    test('each line of progress says of which host it is, and a table is the end', async () => {
      const run = await fleet('apply', '--label', 'good', '--parallel', '1');
      expect(run.exit).toBe(0);
      for (const line of run.stderr.trim().split('\n')) expect(line).toMatch(/^[ab] {2}\S/);
      const lines = run.stdout.split('\n');
      expect(lines.map((line) => line.replace(/ +(\d+\.\d s|time) +/, ' * '))).toEqual([
        'host  outcome * what',
        'a     ok * nothing to do',
        'b     ok * nothing to do',
        '2 of 2 ok',
        '',
      ]);
    });

    test('a host that hangs is ended at the deadline, and the others are done', async () => {
      const run = await fleet('detect', '--only', 'hangs,b', '--deadline', '25', '--json');
      expect(run.exit).toBe(1);
      expect(rows(run)).toMatchObject([
        { host: 'b', outcome: 'ok', what: expect.stringContaining('nextcloud 33.0.1') },
        { host: 'hangs', outcome: 'late', exit: null },
      ]);
    });

    test('where every host was refused nothing was done, and the exit code says so', async () => {
      expect((await fleet('status', '--only', 'stranger', '--json')).exit).toBe(3);
    });

    test('the options of the command reach every host', async () => {
      const nextcloud = nextclouds.get('breaks');
      const run = await fleet('apply', '--only', 'breaks', '--dry-run', '--json');
      expect(rows(run)).toMatchObject([{ outcome: 'ok', what: '5 steps' }]);
      expect(existsSync(join(nextcloud?.root ?? '', 'apps/remotekeystorage'))).toBe(false);
    });

    test.each<[string, string[], string]>([
      ['an option of one server', ['apply', '--all', '--root', '/srv'], '"--root" is for one server'],
      ['no choice of hosts', ['plan', '--parallel', '2'], 'must say which hosts'],
      [
        'a parallel that is no number',
        ['plan', '--all', '--parallel', 'x'],
        '"--parallel" must be a whole number from 1 to 64',
      ],
      ['a deadline of nothing', ['plan', '--all', '--deadline', '0'], '"--deadline" must be a whole number'],
      ['a command that belongs to one server', ['escrow', '--all'], "unknown option '--all'"],
    ])('%s is refused before anything is run', async (_, argv, words) => {
      const [command = '', ...more] = argv;
      const run = command === 'escrow' ? await runNcpatch(argv) : await fleet(command, ...more);
      expect(run.exit).toBe(2);
      expect(run.stderr).toContain(words);
    });

    test('an inventory with one wrong host runs nothing', async () => {
      const wrong = join(folder, 'wrong.json');
      const good = { name: 'a', local: true, root: nextclouds.get('a')?.root };
      writeFileSync(wrong, JSON.stringify({ hosts: [good, { name: 'b' }] }, null, 1), { mode: 0o644 });
      const run = await runNcpatch(['status', '--all', '--inventory', wrong, '--json']);
      expect(run.exit).toBe(2);
      expect(JSON.parse(run.stdout)).toMatchObject({ error: { code: 'inventory_invalid', field: 'hosts.1.ssh' } });
      expect(run.stderr).toContain('line 8: "hosts.1.ssh" must be given');
      expect(run.stderr).not.toContain('[#]');
    });
  },
);
