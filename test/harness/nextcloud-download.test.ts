import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from '../../platform/run.ts';
import { type DownloadOptions, downloadRelease, readChecksum, verifyRelease } from './nextcloud-download.ts';
import { listTrees } from './nextcloud-tree.ts';
import { hasProgram } from './programs.ts';

const archive = 'nextcloud-32.0.2.tar.bz2';
const trees = listTrees();
let folder = '';
let server: Server;
let from = '';
const files = new Map<string, { status: number; body: Buffer | string; location?: string }>();
const asked: string[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-download-'));
  files.clear();
  asked.splice(0);
  server = createServer((request, response) => {
    asked.push(request.url ?? '');
    const file = files.get((request.url ?? '').slice(1)) ?? { status: 404, body: '' };
    response.writeHead(file.status, file.location === undefined ? {} : { Location: file.location });
    response.end(file.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  from = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});

afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});

/** Packs a folder that passes for a release of `version`, as far as an archive shows that. */
async function pack(version: string): Promise<Buffer> {
  const source = join(folder, 'source');
  mkdirSync(join(source, 'nextcloud/lib'), { recursive: true });
  const text = `<?php\n$OC_VersionString = '${version}';\n$OC_VersionCanBeUpgradedFrom = array (\n  'nextcloud' => \n  array (\n    '31.0' => true,\n  ),\n);\n`;
  writeFileSync(join(source, 'nextcloud/version.php'), text);
  writeFileSync(join(source, 'nextcloud/occ'), '');
  writeFileSync(join(source, 'nextcloud/lib/base.php'), '');
  await run(['tar', '-cjf', join(folder, 'packed'), '-C', source, 'nextcloud'], { timeoutMs: 20_000 });
  return readFileSync(join(folder, 'packed'));
}

function offer(body: Buffer, checksum = createHash('sha512').update(body).digest('hex')): void {
  files.set(archive, { status: 200, body });
  files.set(`${archive}.sha512`, { status: 200, body: `${checksum}  ${archive}\n` });
}

async function refused(options: Partial<DownloadOptions>, code: string, version = '32.0.2'): Promise<void> {
  const into = join(folder, 'trees');
  await expect(downloadRelease(version, { into, from, ...options })).rejects.toMatchObject({ code });
  expect(readdirSync(folder).includes('trees') ? readdirSync(into) : []).toEqual([]);
}

describe('readChecksum()', () => {
  it('refuses a list that names another file, or no whole SHA-512', () => {
    const hash = 'a'.repeat(128);
    for (const text of [
      '',
      `${hash}  other.tar.bz2\n`,
      `${hash.slice(1)}  ${archive}\n`,
      `${hash} ${archive}x`,
      hash,
    ]) {
      expect(() => readChecksum(text, archive)).toThrow('does not name');
    }
    expect(readChecksum(`${'b'.repeat(128)}  nextcloud-32.0.2.zip\n${hash}  ${archive}\n`, archive)).toBe(hash);
  });
});

describe.skipIf(!hasProgram('tar') || !hasProgram('bzip2'))('downloadRelease()', () => {
  it('refuses a version that is none, before it asks anybody', async () => {
    for (const version of ['', '33', '33.0', '33.0.1/..', '../33.0.1', '33.0.1.tar', 'latest']) {
      await refused({}, 'invalid_request', version);
    }
    expect(asked).toEqual([]);
  });

  it('refuses plain http to another machine', async () => {
    await refused({ from: 'http://download.example/' }, 'download_refused');
  });

  it('refuses an archive with another checksum', async () => {
    const body = await pack('32.0.2');
    offer(body, createHash('sha512').update('other').digest('hex'));
    await refused({ verify: async () => undefined }, 'download_refused');
  });

  it('refuses an archive without a checksum, and does not fetch it', async () => {
    files.set(archive, { status: 200, body: 'x' });
    await refused({}, 'download_failed');
    expect(asked).toEqual([`/${archive}.sha512`]);
  });

  it('refuses to be sent to another address', async () => {
    offer(await pack('32.0.2'));
    files.set(archive, { status: 302, body: '', location: `${from}elsewhere` });
    await refused({ verify: async () => undefined }, 'download_failed');
  });

  it('refuses a release that says it is another version', async () => {
    offer(await pack('32.0.1'));
    await refused({ verify: async () => undefined }, 'download_refused');
  });

  it('refuses an archive with a right checksum that the vendor did not sign', async () => {
    const body = await pack('32.0.2');
    offer(body);
    const into = join(folder, 'trees');
    await expect(downloadRelease('32.0.2', { into, from })).rejects.toThrow();
    expect(readdirSync(into)).toEqual([]);
  });

  it('gives a release its name after it was verified, and does not fetch it again', async () => {
    offer(await pack('32.0.2'));
    const into = join(folder, 'trees');
    const judged: string[] = [];
    const verify = async (unpacked: string): Promise<void> => void judged.push(...readdirSync(unpacked).sort());
    const tree = await downloadRelease('32.0.2', { into, from, verify });
    expect(tree).toEqual({ version: '32.0.2', folder: join(into, '32.0.2'), upgradesFrom: ['31.0'] });
    expect(judged).toEqual(['lib', 'occ', 'version.php']);
    expect(readdirSync(into)).toEqual(['32.0.2']);
    const before = asked.length;
    await downloadRelease('32.0.2', { into, from, verify });
    expect(asked.length).toBe(before);
  });
});

describe.skipIf(trees.length === 0)('verifyRelease()', () => {
  it('refuses a tree of which files are missing, and names how many', { timeout: 60_000 }, async () => {
    const tree = trees[0]?.folder ?? '';
    const copy = join(folder, 'tree');
    for (const path of ['core/signature.json', 'resources/codesigning/root.crt', 'version.php']) {
      cpSync(join(tree, path), join(copy, path), { recursive: true });
    }
    await expect(verifyRelease(copy, new Date('2026-11-20T00:00:00Z'))).rejects.toMatchObject({
      code: 'vendor_tree_differs',
      message: expect.stringMatching(/^not as the vendor signed it: 0 changed, 0 added, [0-9]+ missing files$/),
    });
  });
});
