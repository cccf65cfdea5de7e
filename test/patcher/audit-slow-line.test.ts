import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listTree } from '../../patcher/audit/list-tree.ts';
import { nameOf } from '../../patcher/audit/listing-fields.ts';
import { parseSshTarget } from '../../patcher/transports/ssh-target.ts';
import { openSshTransport } from '../../patcher/transports/ssh-transport.ts';
import type { Transport } from '../../patcher/transports/transport.ts';
import { type SlowLine, startSlowLine } from '../harness/slow-line.ts';
import { sshdMissing, startSshd, type TestSshd } from '../harness/sshd.ts';

const FILES = 25_000;
/** Like a line of 4 MBit/s. */
const BYTES_PER_SECOND = 500_000;

const sha512 = (content: Buffer): string => createHash('sha512').update(content).digest('hex');
const missing = sshdMissing();
const expected = new Map<string, string>();
let folder: string;
let sshd: TestSshd;
let line: SlowLine;
let transport: Transport;

/** Names that some programs stumble over; two of them differ in bytes that are not UTF-8 only. */
const WEIRD = [
  ...['new\nline.php', 'quote\'".php', 'back\\slash.php', '$(id).php', '-rf', '*', 'Straße.php', '\u{1f511}.php', ' '],
  ...['\u202ephp.txt', 'tab\t.php', 'car\rriage', 'a'.repeat(255)],
].map((name) => Buffer.from(name));
const FOREIGN = [0xfe, 0xff].map((byte) => Buffer.concat([Buffer.from('foreign-'), Buffer.from([byte, 0x2e, 0x78])]));

function put(below: string, name: Buffer, content: string): void {
  const data = Buffer.from(content);
  writeFileSync(Buffer.concat([Buffer.from(join(folder, below, '/')), name]), data);
  expected.set(`${below}/${nameOf(name)}`, sha512(data));
}

beforeAll(async () => {
  if (missing !== null) return;
  // so many small files are a burden to a disk, and none to memory
  folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'latchkey-audit-'));
  for (let at = 0; at < FILES; at += 1) {
    const below = `folder-${Math.floor(at / 250)}`;
    if (at % 250 === 0) mkdirSync(join(folder, below));
    put(below, Buffer.from(`file-${at}.php`), `content ${at}`);
  }
  for (const name of [...WEIRD, ...FOREIGN]) put('folder-0', name, `content of ${name.toString('hex')}`);
  sshd = await startSshd();
  line = await startSlowLine(sshd.port, BYTES_PER_SECOND);
  transport = await openSshTransport({
    target: parseSshTarget(`root@127.0.0.1:${line.port}`),
    identity: sshd.identity,
    acceptHostKey: sshd.fingerprint,
    knownHosts: [join(sshd.folder, 'slow_known_hosts')],
    prompter: null,
  });
}, 120_000);
afterAll(async () => {
  if (missing !== null) return;
  await transport.close();
  await line.close();
  await sshd.stop();
  rmSync(folder, { recursive: true });
});

describe.skipIf(missing !== null)('listTree() of 25,000 files over a slow line', { timeout: 120_000 }, () => {
  it('brings every hash and every name, whatever bytes it has, in about half of the listing’s size', async () => {
    const counted: [number, number][] = [];
    const before = line.received();
    const listing = await listTree(transport, folder, {}, (done, total) => counted.push([done, total]));
    expect(listing?.files.size).toBe(FILES + WEIRD.length + FOREIGN.length);
    expect(listing?.files).toEqual(expected);
    const bytes = line.received() - before;
    const plain = [...expected].reduce((sum, [path, hash]) => sum + hash.length + path.length + 5, 0);
    expect(bytes).toBeGreaterThan(FILES * 64); // hashes cannot be made smaller
    expect(bytes / plain).toBeLessThan(0.55);
    const totals = new Set(counted.map(([, total]) => total));
    expect([...totals]).toEqual([expected.size]);
    expect(counted.map(([done]) => done)).toEqual(counted.map(([done]) => done).sort((a, b) => a - b));
    expect(counted.length).toBeGreaterThan(20);
  });
});

describe('nameOf()', () => {
  it('gives no two names of bytes the same text', () => {
    const names = [[0xff], [0xfe], [0xc3, 0xbf], [0xc3], [0xbf], [0xed, 0xb3, 0xbf], [0xef, 0xbf, 0xbd], [0xc0, 0xaf]];
    const texts = names.map((bytes) => nameOf(Buffer.from(bytes)));
    expect(new Set(texts).size).toBe(names.length);
    expect(texts.slice(0, 4)).toEqual(['\udcff', '\udcfe', 'ÿ', '\udcc3']);
  });
});
