import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { builtSource, importsWithin } from '../../packaging/built-source.ts';
import { productionPackages } from '../../packaging/production-packages.ts';
import { installText } from '../../packaging/release-files.ts';
import type { ReleaseFiles } from '../../packaging/tarball.ts';
import { run } from '../../platform/run.ts';
import { hasProgram } from '../harness/programs.ts';
import { parseBill } from './cyclonedx.ts';
import { hollowRelease, madeRelease, project, tarballOf, textOf } from './release.ts';

let release: ReleaseFiles;
let folder: string;
beforeAll(() => {
  release = madeRelease('1.2.3');
  folder = mkdtempSync(join(tmpdir(), 'latchkey-release-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('builtSource()', () => {
  it('strips types, names built files, and leaves each line and column where it was', () => {
    const text = [
      "import { type A, b } from './b.ts';",
      "import type { C } from '../c.ts';",
      "export * from '../d.e.ts';",
      "const f = await import('./f.ts') as C;",
      "const said = 'not ./g.ts';",
    ].join('\n');
    const built = builtSource(text);
    expect(built.split('\n').map((line) => line.replace(/\s+/g, ' ').trim())).toEqual([
      "import { b } from './b.js';",
      '',
      "export * from '../d.e.js';",
      "const f = await import('./f.js') ;",
      "const said = 'not ./g.ts';",
    ]);
    expect(built.indexOf('said')).toBe(text.indexOf('said'));
    expect(importsWithin('x/y/z.js', built)).toEqual(['x/y/b.js', 'x/d.e.js', 'x/y/f.js']);
  });
});

describe('a release', () => {
  it('has the programs, the app, the texts and their parts, and no TypeScript, no tests, no tools, no compiled code', () => {
    const paths = [...release.keys()];
    for (const path of [
      ...['LICENSE', 'README.md', 'SECURITY.md', 'NODE', 'VERSION', 'SHA256SUMS', 'sbom.cdx.json', 'install.sh'],
      ...[
        'bin/keyserver',
        'bin/ncpatch',
        'bin/wghub',
        'bin/wgnode',
        'php-app/appinfo/info.xml',
        'keyserver/program.js',
      ],
      ...['keyserver/admin/style.css', 'patcher/hooks/core/manifest.json', 'wireguard/installers/templates/linux.sh'],
    ]) {
      expect(paths).toContain(path);
    }
    expect(paths.filter((path) => /\.(ts|node)$|^test\/|^packaging\/|launch\.mjs$/.test(path))).toEqual([]);
    expect(paths.filter((path) => /^node_modules\/(vitest|typescript|@biomejs|@types|node)\//.test(path))).toEqual([]);
  });

  it('has every package of package-lock.json that is for production, and each file of it that code could load', () => {
    const { packages, needs } = productionPackages(project);
    expect(needs).toContain('node_modules/express');
    expect(packages.filter(({ path }) => !release.has(`${path}/package.json`))).toEqual([]);
    expect(release.has('node_modules/qrcode/node_modules/pngjs/lib/png.js')).toBe(true);
  });

  it('names each of its files in SHA256SUMS, sorted, and the Node that package.json pins', () => {
    const lines = textOf(release, 'SHA256SUMS').trimEnd().split('\n');
    expect(lines.map((line) => line.slice(66))).toEqual(
      [...release.keys()].filter((path) => path !== 'SHA256SUMS').sort(),
    );
    const license = createHash('sha256')
      .update(readFileSync(join(project, 'LICENSE')))
      .digest('hex');
    expect(lines).toContain(`${license}  LICENSE`);
    const pinned = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')).dependencies.node;
    expect(textOf(release, 'NODE')).toBe(`${pinned}\n`);
  });

  it.skipIf(!hasProgram('shellcheck'))('has shell scripts that shellcheck finds nothing in', async () => {
    for (const text of [installText(project), textOf(release, 'bin/keyserver')]) {
      const checked = await run(['shellcheck', '-s', 'sh', '-'], { timeoutMs: 60_000, input: text, allowExit: 'any' });
      expect(checked.stdout.toString('utf8')).toBe('');
    }
  });

  it('is not installed by what its install.sh is made of', async () => {
    const argv = ['sh', join(project, 'packaging/install.sh'), '--help'] as const;
    const { exit, stdout, stderr } = await run(argv, { timeoutMs: 10_000, allowExit: 'any' });
    expect([exit, stdout.toString()]).toEqual([2, '']);
    expect(stderr).toContain('npm run package writes it to dist');
  });
});

describe('its bill of materials', () => {
  it('is CycloneDX 1.6: each package with its version, purl, license and the hash of its archive', () => {
    const bill = parseBill(textOf(release, 'sbom.cdx.json'));
    const { packages } = productionPackages(project);
    expect(bill.components.length).toBe(packages.length + 1);
    const lock = JSON.parse(readFileSync(join(project, 'package-lock.json'), 'utf8'));
    const { version, integrity } = lock.packages['node_modules/@peculiar/x509'];
    expect(bill.components.find(({ group, name }) => group === '@peculiar' && name === 'x509')).toEqual({
      type: 'library',
      'bom-ref': `pkg:npm/%40peculiar/x509@${version}`,
      group: '@peculiar',
      name: 'x509',
      version,
      scope: 'required',
      hashes: [{ alg: 'SHA-512', content: Buffer.from(integrity.slice('sha512-'.length), 'base64').toString('hex') }],
      licenses: [{ license: { id: 'MIT' } }],
      purl: `pkg:npm/%40peculiar/x509@${version}`,
    });
  });

  it('says what needs what, down to packages that lie within others', () => {
    const bill = parseBill(textOf(release, 'sbom.cdx.json'));
    const needs = new Map(bill.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
    const qrcode = bill.components.find(({ name }) => name === 'qrcode')?.['bom-ref'] ?? '';
    expect(needs.get('pkg:npm/latchkey@1.2.3')).toContain(qrcode);
    expect(needs.get(qrcode)?.filter((ref) => ref.startsWith('pkg:npm/pngjs@'))).toEqual([
      expect.stringMatching(/^pkg:npm\/pngjs@5\.[0-9.]+#node_modules\/qrcode\/node_modules\/pngjs$/),
    ]);
    // everything in it is needed by something
    const needed = new Set([...needs.values()].flat());
    expect(bill.components.map((one) => one['bom-ref']).filter((ref) => !needed.has(ref))).toEqual([]);
  });
});

describe('writeTarball()', () => {
  it('writes the same bytes for the same files, in whatever order they come', async () => {
    const files = hollowRelease('1.0.0');
    const one = readFileSync(await tarballOf(files, join(folder, 'one')));
    const other = readFileSync(await tarballOf(new Map([...files].reverse()), join(folder, 'other')));
    expect(one.equals(other)).toBe(true);
  });

  it('makes what tar reads: root as owner, the time that was given, modes, names longer than a header has place for', async () => {
    const long = `${'folder-'.repeat(10)}x/${'y'.repeat(60)}/${'name-'.repeat(10)}.js`;
    const files = hollowRelease('1.0.0').set(long, { bytes: Buffer.from('long\n'), executable: false });
    const path = await tarballOf(files, join(folder, 'long'));
    const listing = await run(['tar', '-tvzf', path, '--full-time', '--utc', '--numeric-owner'], { timeoutMs: 30_000 });
    const lines = listing.stdout.toString('utf8').trimEnd().split('\n');
    expect(lines.filter((line) => !/^[-d]rw[x-]r-[x-]r-[x-] 0\/0 +\d+ 2023-11-14 22:13:20 /.test(line))).toEqual([]);
    expect(lines.find((line) => line.endsWith('/install.sh'))).toMatch(/^-rwxr-xr-x /);
    const content = await run(['tar', '-xOzf', path, `latchkey-1.0.0/${long}`], { timeoutMs: 30_000 });
    expect(content.stdout.toString('utf8')).toBe('long\n');
  });

  it('overwrites nothing', async () => {
    await tarballOf(hollowRelease('1.0.0'), join(folder, 'twice'));
    await expect(tarballOf(hollowRelease('1.0.0'), join(folder, 'twice'))).rejects.toThrow('EEXIST');
  });
});

describe('npm run package', () => {
  const packageCommand = (words: readonly string[], env: Readonly<Record<string, string>>) =>
    run([process.execPath, join(project, 'packaging/main.ts'), ...words], {
      timeoutMs: 120_000,
      allowExit: 'any',
      env,
    });

  it('refuses a time that is none', async () => {
    const { exit, stderr } = await packageCommand(['--uncommitted', '--out', folder], { SOURCE_DATE_EPOCH: 'today' });
    expect([exit, stderr.includes('"SOURCE_DATE_EPOCH" must be a time in seconds')]).toEqual([2, true]);
    expect(existsSync(join(folder, 'install.sh'))).toBe(false);
  });
});
