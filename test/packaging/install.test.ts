import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installText } from '../../packaging/release-files.ts';
import { run } from '../../platform/run.ts';
import { addPrograms, busyboxRoot, cleanRootObstacle, inRoot, pathsIn } from '../harness/clean-root.ts';
import { servedFrom } from './installed.ts';
import { hollowRelease, pinnedNode, project, tarballOf } from './release.ts';

const obstacle = cleanRootObstacle() ?? (existsSync(pinnedNode) ? null : 'the pinned Node is not here');
/** Where the tarballs lie, in the root. */
const SHELF = '/tmp/releases';

/** A program of systemd's name that writes down what it is told; a unit runs unless the version in use is the one that is broken. */
const SYSTEMCTL = `#!/bin/sh
echo "$*, $(readlink /opt/latchkey/current)" >>/tmp/systemctl
case $1 in is-active) [ "$(readlink /opt/latchkey/current)" != 0.4.0 ] ;; esac
`;

describe.skipIf(obstacle !== null)('install.sh, in a root with nothing but busybox', () => {
  let root: string;
  let bare: readonly string[];
  const shelf = (name = ''): string => join(root, SHELF, name);
  const at = (path: string): string => join(root, path);
  const install = (...words: readonly string[]) =>
    inRoot(root, ['sh', `${SHELF}/install.sh`, ...words], { LATCHKEY_SETTLE: '0' });
  const state = (): unknown => ({ paths: settled(root), current: leads('current'), previous: leads('previous') });
  const leads = (name: string): string | null =>
    existsSync(at(`opt/latchkey/${name}`)) ? readlinkSync(at(`opt/latchkey/${name}`)) : null;
  const version = async (program: string): Promise<string> =>
    (await inRoot(root, [program, '--version'])).stdout.toString('utf8').trim();

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'latchkey-root-'));
    await busyboxRoot(root, pinnedNode);
    bare = settled(root);
    mkdirSync(shelf());
    writeFileSync(shelf('install.sh'), installText(project));
    await tarballOf(hollowRelease('0.0.9'), shelf());
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  it('refuses a tarball that was cut short, and leaves nothing', async () => {
    const whole = readFileSync(shelf('latchkey-0.0.9.tar.gz'));
    writeFileSync(shelf('short.tar.gz'), whole.subarray(0, whole.length - 100));
    const { exit, stderr } = await install(`${SHELF}/short.tar.gz`);
    expect(exit).toBe(1);
    expect(stderr).toContain('error: the release is damaged');
    expect(stderr).toContain('everything is as it was before');
    expect(settled(root)).toEqual(bare);
  });

  it('refuses a release with a changed file, with one more, and one that its .sha256 does not know', async () => {
    const foreign = { bytes: Buffer.from('public domain\n'), executable: false };
    for (const [path, words] of [
      ['LICENSE', 'its files are not those of its SHA256SUMS'],
      ['platform/more.js', 'has files that its SHA256SUMS does not name'],
    ] as const) {
      const tarball = await tarballOf(hollowRelease('0.0.9').set(path, foreign), shelf('changed'));
      const { exit, stderr } = await install(`${SHELF}/changed/latchkey-0.0.9.tar.gz`);
      expect([exit, stderr.includes(words)]).toEqual([1, true]);
      rmSync(tarball);
    }
    copyFileSync(shelf('latchkey-0.0.9.tar.gz'), shelf('named.tar.gz'));
    writeFileSync(shelf('named.tar.gz.sha256'), `${'0'.repeat(64)}  named.tar.gz\n`);
    const { stderr } = await install(`${SHELF}/named.tar.gz`);
    expect(stderr).toContain('is not what /tmp/releases/named.tar.gz.sha256 says');
    expect(settled(root)).toEqual(bare);
  });

  it('refuses a Node of another line and one that is older, and says what it needs', async () => {
    for (const said of ['v20.19.0', 'v25.0.0', 'v24.1.0', 'v24.21', 'v24.22.0-rc.1']) {
      writeFileSync(at('tmp/node'), `#!/bin/sh\necho ${said}\n`, { mode: 0o755 });
      const { exit, stderr } = await install(`${SHELF}/latchkey-0.0.9.tar.gz`, '--node', '/tmp/node');
      expect([exit, stderr.includes(`or a later 24, /tmp/node is ${said}`)]).toEqual([1, true]);
    }
    expect(settled(root)).toEqual(bare);
  });

  it("refuses to take another program's name", async () => {
    writeFileSync(at('usr/local/bin/wghub'), '#!/bin/sh\n');
    const { exit, stderr } = await install(`${SHELF}/latchkey-0.0.9.tar.gz`);
    expect(exit).toBe(3);
    expect(stderr).toContain('/usr/local/bin/wghub is there already');
    rmSync(at('usr/local/bin/wghub'));
    expect(settled(root)).toEqual(bare);
  });

  it.each([
    [['--rolback'], 'there is no option --rolback'],
    [['--purge'], '--purge goes with --uninstall'],
    [['--rollback', '--uninstall'], 'one thing at a time'],
    [['--uninstall', 'x.tar.gz'], '--uninstall takes nothing else'],
    [['--node'], '--node needs a file'],
    [[], 'there is no release beside this script'],
  ])('%j is used wrongly', async (words, said) => {
    const { exit, stderr } = await install(...words);
    expect([exit, stderr.split('\n')[0]?.includes(said)]).toEqual([2, true]);
  });

  it.each([
    ['exit 1', 'cannot make the account latchkey'],
    ['kill -TERM $PPID', 'stopped by SIGTERM'],
  ])('undoes what it did when the account cannot be made: %s', async (line, said) => {
    renameSync(at('usr/bin/useradd'), at('tmp/useradd'));
    writeFileSync(at('usr/bin/useradd'), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
    const { exit, stderr } = await install(`${SHELF}/latchkey-0.0.9.tar.gz`);
    renameSync(at('tmp/useradd'), at('usr/bin/useradd'));
    expect([exit, stderr.includes(said), stderr.includes('everything is as it was before')]).toEqual([1, true, true]);
    expect(settled(root)).toEqual(bare);
  });

  it.each([['dash'], ['bash']])('works under %s, from the unpacked release, and leaves nothing', async (shell) => {
    if (!existsSync(at(`usr/bin/${shell}`))) await addPrograms(root, [shell]);
    await inRoot(root, ['tar', '-xzf', `${SHELF}/latchkey-0.0.9.tar.gz`, '-C', '/tmp']);
    const before = settled(root);
    const { exit, stderr } = await inRoot(root, [shell, '/tmp/latchkey-0.0.9/install.sh', '--node', '/usr/bin/node']);
    expect([exit, stderr.includes('error')]).toEqual([0, false]);
    expect(await version('ncpatch')).toBe('0.0.9');
    expect((await inRoot(root, [shell, '/tmp/latchkey-0.0.9/install.sh', '--uninstall', '--purge'])).exit).toBe(0);
    expect(settled(root)).toEqual(before);
    rmSync(at(`usr/bin/${shell}`));
  });

  it('installs this tree: the version, the links, the account and its data directory', {
    timeout: 120_000,
  }, async () => {
    // as `npm run package` makes it
    const make = [process.execPath, join(project, 'packaging/main.ts'), '--uncommitted', '--out', shelf()] as const;
    await run(make, { timeoutMs: 120_000, env: { SOURCE_DATE_EPOCH: '1700000000' } });
    const { exit, stdout, stderr } = await install(`${SHELF}/latchkey-0.1.0.tar.gz`);
    expect([exit, stdout.toString('utf8')], stderr).toEqual([
      0,
      'Latchkey 0.1.0 is in use; its programs are in /usr/local/bin: keyserver ncpatch wghub wgnode\n',
    ]);
    expect(leads('current')).toBe('0.1.0');
    expect(readlinkSync(at('opt/latchkey/0.1.0/node/bin/node'))).toBe('/usr/bin/node');
    expect(readFileSync(at('etc/passwd'), 'utf8')).toMatch(
      /^latchkey:[^:]*:\d+:\d+::\/var\/lib\/latchkey:\/usr\/sbin\/nologin$/m,
    );
    expect(lstatSync(at('var/lib/latchkey')).mode & 0o777).toBe(0o700);
    expect(lstatSync(at('var/lib/latchkey')).uid).not.toBe(0);
  });

  it('what it installed runs, as the account: a key server and a hub are made, start and answer', {
    timeout: 120_000,
  }, async () => {
    expect(await servedFrom(root, '/var/lib/latchkey')).toEqual({ keyserver: 200, hub: 200 });
  });

  it('prints a unit that goes on with the next version', async () => {
    const data = '/var/lib/latchkey/keys';
    const print = ['service', 'print', '--data', data, '--keyfile', `${data}.keyfile`];
    const { stdout } = await inRoot(root, ['keyserver', ...print]);
    expect(stdout.toString('utf8')).toMatch(
      /^ExecStart="\/opt\/latchkey\/current\/node\/bin\/node" .* "\/opt\/latchkey\/current\/keyserver\/main\.js" "start"/m,
    );
  });

  it('starts no program on a Node that it is not made for', async () => {
    const named = at('opt/latchkey/0.1.0/NODE');
    const kept = readFileSync(named, 'utf8');
    writeFileSync(named, '24.99.0\n');
    const { exit, stderr } = await inRoot(root, ['keyserver', '--version']);
    writeFileSync(named, kept);
    expect([exit, stderr.includes('latchkey: error: this needs Node 24.99.0 or a later 24')]).toEqual([1, true]);
  });

  it('takes no version into use that does not start', async () => {
    await tarballOf(hollowRelease('0.3.0', { wgnode: '#!/bin/sh\nexit 1\n' }), shelf());
    const before = state();
    const { exit, stderr } = await install(`${SHELF}/latchkey-0.3.0.tar.gz`);
    expect(exit).toBe(1);
    expect(stderr).toContain('error: wgnode of 0.3.0 does not start here');
    expect(state()).toEqual(before);
    expect(await version('wgnode')).toBe('0.1.0');
  });

  it('goes back when a service does not run with the new version', async () => {
    mkdirSync(at('etc/systemd/system'), { recursive: true });
    mkdirSync(at('run/systemd/system'), { recursive: true });
    const unit = 'ExecStart="/opt/latchkey/current/node/bin/node"\n';
    writeFileSync(at('etc/systemd/system/latchkey-keyserver.service'), unit);
    writeFileSync(at('usr/bin/systemctl'), SYSTEMCTL, { mode: 0o755 });
    await tarballOf(hollowRelease('0.4.0'), shelf());
    const before = state();
    const { exit, stderr } = await install(`${SHELF}/latchkey-0.4.0.tar.gz`);
    expect(exit).toBe(1);
    expect(stderr).toContain('error: latchkey-keyserver.service does not run with 0.4.0');
    expect(state()).toEqual(before);
    expect(readFileSync(at('tmp/systemctl'), 'utf8').match(/^restart .*$/gm)).toEqual([
      'restart latchkey-keyserver.service, 0.4.0',
      'restart latchkey-keyserver.service, 0.1.0',
    ]);
  });

  it('upgrades: restarts what runs, keeps data and the version before', async () => {
    await tarballOf(hollowRelease('0.2.0'), shelf());
    writeFileSync(at('tmp/systemctl'), '');
    const { exit, stdout } = await install(`${SHELF}/latchkey-0.2.0.tar.gz`);
    expect(exit).toBe(0);
    expect(stdout.toString('utf8')).toContain('restarted: latchkey-keyserver.service');
    expect([leads('current'), leads('previous')]).toEqual(['0.2.0', '0.1.0']);
    expect(readFileSync(at('tmp/systemctl'), 'utf8')).toContain('restart latchkey-keyserver.service, 0.2.0');
    expect(await version('keyserver')).toBe('0.2.0');
    expect(existsSync(at('var/lib/latchkey/keys/config.json'))).toBe(true);
  });

  it('the same release again changes nothing, and another one of that version is refused', async () => {
    const before = state();
    const again = await install(`${SHELF}/latchkey-0.2.0.tar.gz`);
    expect([again.exit, again.stdout.toString('utf8').split(';')[0]]).toEqual([0, 'Latchkey 0.2.0 is in use already']);
    await tarballOf(hollowRelease('0.2.0', { wgnode: '#!/bin/sh\necho 0.2.0\n' }), shelf('other'));
    const other = await install(`${SHELF}/other/latchkey-0.2.0.tar.gz`);
    expect([other.exit, other.stderr.includes('/opt/latchkey/0.2.0 is another build')]).toEqual([3, true]);
    expect(state()).toEqual(before);
  });

  it('--rollback goes back to the version before, and forth again', { timeout: 120_000 }, async () => {
    expect((await install('--rollback')).exit).toBe(0);
    expect([leads('current'), leads('previous'), await version('keyserver')]).toEqual(['0.1.0', '0.2.0', '0.1.0']);
    expect((await install('--rollback')).exit).toBe(0);
    expect([leads('current'), leads('previous'), await version('keyserver')]).toEqual(['0.2.0', '0.1.0', '0.2.0']);
  });

  it('refuses the Node of a version that will go', async () => {
    const { exit, stderr } = await install(
      `${SHELF}/latchkey-0.3.0.tar.gz`,
      '--node',
      '/opt/latchkey/0.1.0/node/bin/node',
    );
    expect([exit, stderr.includes('goes when its version does')]).toEqual([3, true]);
  });

  it('keeps two versions: the one in use and the one before', async () => {
    await tarballOf(hollowRelease('0.5.0'), shelf());
    expect((await install(`${SHELF}/latchkey-0.5.0.tar.gz`)).exit).toBe(0);
    expect(readdirSync(at('opt/latchkey')).sort()).toEqual(['0.2.0', '0.5.0', 'current', 'previous']);
  });

  it('--uninstall refuses while a service starts it', async () => {
    const before = state();
    const { exit, stderr } = await install('--uninstall');
    expect(exit).toBe(3);
    expect(stderr).toContain('there are services that start it: /etc/systemd/system/latchkey-keyserver.service');
    expect(state()).toEqual(before);
    for (const path of ['etc/systemd', 'run/systemd', 'usr/bin/systemctl']) rmSync(at(path), { recursive: true });
  });

  it('--uninstall refuses while cron starts it', async () => {
    const line =
      '* * * * * root /opt/latchkey/current/node/bin/node /opt/latchkey/current/wireguard/node/main.js check';
    const crontab = (text: string) =>
      writeFileSync(at('usr/bin/crontab'), `#!/bin/sh\necho '${text}'\n`, { mode: 0o755 });
    const refused = async (what: string): Promise<void> => {
      const before = state();
      const { exit, stderr } = await install('--uninstall');
      expect([exit, stderr]).toEqual([3, expect.stringContaining(`there are services that start it: ${what}`)]);
      expect(state()).toEqual(before);
    };
    mkdirSync(at('etc/cron.d'), { recursive: true });
    writeFileSync(at('etc/cron.d/latchkey-node-check'), `${line}\n`);
    await refused('/etc/cron.d/latchkey-node-check');
    rmSync(at('etc/cron.d'), { recursive: true });
    crontab(line);
    await refused('crontab of root');
    crontab(`# ${line}`); // left to the next one, which is not refused
  });

  it('--uninstall takes the programs away and keeps data, --purge leaves no trace', async () => {
    symlinkSync('/usr/bin/env', at('usr/local/bin/other'));
    expect((await inRoot(root, ['sh', '/opt/latchkey/current/install.sh', '--uninstall'])).exit).toBe(0);
    expect(existsSync(at('opt/latchkey'))).toBe(false);
    expect(existsSync(at('var/lib/latchkey/keys/config.json'))).toBe(true);
    expect((await install('--uninstall', '--purge')).exit).toBe(0);
    expect(readlinkSync(at('usr/local/bin/other'))).toBe('/usr/bin/env');
    for (const path of ['usr/local/bin/other', 'usr/bin/crontab']) rmSync(at(path));
    expect(settled(root)).toEqual(bare);
    expect(readFileSync(at('etc/passwd'), 'utf8')).toBe('root:x:0:0:root:/root:/bin/sh\n');
    expect(readFileSync(at('etc/group'), 'utf8')).toBe('root:x:0:\n');
    expect((await install('--uninstall')).stdout.toString('utf8')).toContain('nothing was changed');
  });
});

/** Every path but libraries of shells, and what the programs for accounts leave: copies of their lists, and a lock. */
function settled(root: string): readonly string[] {
  return pathsIn(root).filter(
    (path) => !/^lib|^usr\/lib|^etc\/(passwd|group|shadow|gshadow|subuid|subgid)?(-|\.pwd\.lock)$/.test(path),
  );
}
