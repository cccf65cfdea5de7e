import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../platform/run.ts';
import { cleanRootObstacle, inRoot, pathsIn, placeNode } from '../harness/clean-root.ts';
import { hasProgram } from '../harness/programs.ts';
import { servedFrom } from './installed.ts';
import { hollowRelease, pinnedNode, project, tarballOf } from './release.ts';

const obstacle =
  process.env.LATCHKEY_THOROUGH === '1'
    ? (cleanRootObstacle() ?? (hasProgram('debootstrap') && existsSync(pinnedNode) ? null : 'debootstrap is missing'))
    : 'only when asked for';
/** Made once; it takes minutes. */
const CACHE = join(homedir(), '.cache/latchkey/debootstrap/bookworm-minbase');
/** Imports every built file but those that start a program: each finds what it needs, in the release and in its packages. */
const LOAD_ALL = `
  import { readdirSync } from 'node:fs';
  const files = ['platform', 'wireguard', 'keyserver', 'patcher'].flatMap((room) =>
    readdirSync('/opt/latchkey/current/' + room, { recursive: true })
      .filter((name) => /\\.js$/.test(name) && !/(^|\\/)(main|program)\\.js$/.test(name))
      .map((name) => '/opt/latchkey/current/' + room + '/' + name));
  for (const file of files) await import(file);
  console.log(files.length + ' loaded');
  process.exit(0);
`;
const PLATFORM = `${process.platform}-${process.arch}`;

describe.skipIf(obstacle !== null)('a release with Node in it, in a fresh Debian of the smallest kind', () => {
  let root: string;
  const install = (...words: readonly string[]) => inRoot(root, ['sh', '/tmp/install.sh', ...words]);

  beforeAll(async () => {
    if (!existsSync(CACHE)) {
      const unfinished = `${CACHE}.${process.pid}`;
      mkdirSync(unfinished, { recursive: true });
      const argv = ['debootstrap', '--variant=minbase', 'bookworm', unfinished] as const;
      await run(argv, { timeoutMs: 1_200_000 });
      renameSync(unfinished, CACHE);
    }
    root = join(mkdtempSync(join(tmpdir(), 'latchkey-debian-')), 'root');
    await run(['cp', '-a', CACHE, root], { timeoutMs: 120_000 });
    const make = [process.execPath, join(project, 'packaging/main.ts'), '--uncommitted', '--with-node'] as const;
    const env = { SOURCE_DATE_EPOCH: '1700000000' };
    await run([...make, '--out', join(root, 'tmp')], { timeoutMs: 300_000, env });
  }, 1_800_000);
  afterAll(() => {
    rmSync(join(root, '..'), { recursive: true, force: true });
  });

  it('installs, serves, is upgraded and taken away without a trace', { timeout: 600_000 }, async () => {
    const before = pathsIn(root);
    const accounts = readFileSync(join(root, 'etc/passwd'), 'utf8');
    expect((await inRoot(root, ['sh', '-c', 'command -v node'])).exit).not.toBe(0);

    const installed = await install(`/tmp/latchkey-0.1.0-${PLATFORM}.tar.gz`);
    expect(installed.exit, installed.stderr).toBe(0);
    expect((await inRoot(root, ['keyserver', '--version'])).stdout.toString('utf8')).toBe('0.1.0\n');
    expect((await inRoot(root, ['ncpatch', '--help'])).stdout.toString('utf8')).toMatch(/^Usage: ncpatch /);
    expect(await servedFrom(root, '/var/lib/latchkey')).toEqual({ keyserver: 200, hub: 200 });

    const loaded = await inRoot(root, ['/opt/latchkey/current/node/bin/node', '--input-type=module', '-e', LOAD_ALL]);
    expect(loaded.stdout.toString('utf8'), loaded.stderr).toMatch(/^[0-9]{3,} loaded$/m);

    // the next one has no Node in it
    await tarballOf(hollowRelease('0.2.0'), join(root, 'tmp'));
    expect((await install('/tmp/latchkey-0.2.0.tar.gz')).stderr).toMatch(
      /error: this needs Node .*, and there is none here/,
    );
    placeNode(pinnedNode, join(root, 'usr/bin/node'));
    const upgraded = await install('/tmp/latchkey-0.2.0.tar.gz');
    expect(upgraded.exit, upgraded.stderr).toBe(0);
    expect((await inRoot(root, ['wghub', '--version'])).stdout.toString('utf8')).toBe('0.2.0\n');
    expect((await install('--rollback')).exit).toBe(0);
    expect((await inRoot(root, ['wghub', '--version'])).stdout.toString('utf8')).toBe('0.1.0\n');

    rmSync(join(root, 'usr/bin/node'));
    expect((await install('--uninstall', '--purge')).exit).toBe(0);
    const left = pathsIn(root).filter((path) => !before.includes(path));
    // copies that the programs for accounts make of their lists
    expect(left.filter((path) => !/^etc\/[a-z]+-$|^etc\/\.pwd\.lock$/.test(path))).toEqual([]);
    expect(readFileSync(join(root, 'etc/passwd'), 'utf8')).toBe(accounts);
  });

  it('gives the same bytes when it is made again', { timeout: 300_000 }, async () => {
    const make = [process.execPath, join(project, 'packaging/main.ts'), '--uncommitted', '--with-node'] as const;
    const env = { SOURCE_DATE_EPOCH: '1700000000' };
    const name = `latchkey-0.1.0-${PLATFORM}.tar.gz`;
    await run([...make, '--out', join(root, 'tmp/again')], { timeoutMs: 300_000, env });
    const [one, other] = ['tmp', 'tmp/again'].map((folder) => readFileSync(join(root, folder, name)));
    expect(one !== undefined && other !== undefined && one.equals(other)).toBe(true);
  });
});
