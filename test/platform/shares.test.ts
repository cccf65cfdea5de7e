import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../platform/clock.ts';
import type { CommandIo } from '../../platform/command-io.ts';
import { createSecretFile } from '../../platform/files.ts';
import { readShare, type Share, shareDocument, writeShare } from '../../platform/vault/share-text.ts';
import { type NamedShare, newShareSet, sharesMethod } from '../../platform/vault/shares.ts';
import { keyfileMethod, passphraseMethod, type UnsealMethod } from '../../platform/vault/unseal.ts';
import { unsealMethodFor } from '../../platform/vault/unseal-options.ts';
import { makeVault, rekeyVault, storeVault, unsealVault } from '../../platform/vault/vault-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-shares-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const item = { kind: 'key', client: 'c', id: 'i', version: 1 };

async function vaultOfShares(count: number, threshold: number) {
  const set = await newShareSet(count, threshold, randomBytes);
  const made = await makeVault(set.method, randomBytes);
  storeVault(folder, made);
  const box = made.vault.seal(item, Buffer.from('opened'));
  const openWith = async (given: readonly NamedShare[]) => {
    const vault = await unsealVault(
      folder,
      sharesMethod(async () => given),
      randomBytes,
    );
    return vault.open(item, box).toString();
  };
  const named = set.shares.map((share) => ({ name: `paper ${share.number}`, share }));
  return { named, openWith };
}

describe('sharesMethod()', () => {
  it('refuses too few and names the ones it has', async () => {
    const { named, openWith } = await vaultOfShares(5, 3);
    await expect(openWith([])).rejects.toMatchObject({
      code: 'shares_missing',
      message: expect.stringMatching(/^3 shares of set [0-9a-f]{8} are needed, none was given$/),
    });
    const two = [named[4], named[1]] as NamedShare[];
    await expect(openWith(two)).rejects.toThrow(/3 shares of set .* are needed, 2 given \(5, 2\)/);
  });
  it('refuses a foreign share and names both sets', async () => {
    const { named, openWith } = await vaultOfShares(3, 2);
    const foreign = (await newShareSet(3, 2, randomBytes)).shares[0] as Share;
    const failure = openWith([named[0] as NamedShare, { name: 'found.txt', share: foreign }]);
    await expect(failure).rejects.toMatchObject({
      code: 'share_refused',
      message: `found.txt belongs to set ${foreign.set}, this vault to set ${named[0]?.share.set}`,
    });
  });
  it('refuses an altered share by name, though its check sums are right', async () => {
    const { named, openWith } = await vaultOfShares(3, 2);
    const good = named[1] as NamedShare;
    const value = Uint8Array.from(good.share.value);
    value[7] = (value[7] ?? 0) ^ 1;
    const text = shareDocument({ ...good.share, value }, 3);
    const failure = openWith([named[0] as NamedShare, { name: 'b.txt', share: readShare(text, 'b.txt') }]);
    await expect(failure).rejects.toThrow(/^b\.txt says it is share 2 of set [0-9a-f]{8}, and is not$/);
  });
  it('refuses the same share twice, and a number nobody was given', async () => {
    const { named, openWith } = await vaultOfShares(3, 2);
    const one = named[0] as NamedShare;
    await expect(openWith([one, { name: 'copy', share: one.share }])).rejects.toThrow(
      'paper 1 and copy are both share 1',
    );
    await expect(openWith([{ name: 'x', share: { ...one.share, number: 4 } }])).rejects.toMatchObject({
      code: 'share_refused',
    });
  });
  it('refuses a vault of another method, and to make a vault', async () => {
    storeVault(
      folder,
      await makeVault(
        passphraseMethod(async () => 'correct horse battery'),
        randomBytes,
      ),
    );
    const method = sharesMethod(async () => []);
    await expect(unsealVault(folder, method, randomBytes)).rejects.toMatchObject({
      code: 'unseal_failed',
      hint: 'use --passphrase-file FILE',
    });
    expect(() => method.newHeader(randomBytes)).toThrow(expect.objectContaining({ exit: 2 }));
  });
  it('opens with every choice of k, in any order, and with more', async () => {
    const { named, openWith } = await vaultOfShares(4, 2);
    for (const a of named) {
      for (const b of named) if (a !== b) expect(await openWith([a, b])).toBe('opened');
    }
    expect(await openWith(named)).toBe('opened');
  });
});

describe('readShare()', () => {
  const share = fc.record({
    set: fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => Buffer.from(bytes).toString('hex')),
    number: fc.integer({ min: 1, max: 32 }),
    threshold: fc.integer({ min: 2, max: 32 }),
    value: fc.uint8Array({ minLength: 33, maxLength: 33 }),
  });
  const one: Share = { set: '00c0ffee', number: 2, threshold: 3, value: new Uint8Array(33).fill(7) };

  it.each<[string, (lines: string[]) => string[], string]>([
    ['two lines', (lines) => lines.slice(1), 'a.txt must hold the 3 lines of a share, it holds 2'],
    ['a line that is short', ([a = '', b = '', c = '']) => [a, b.slice(0, -1), c], 'line 2 of a.txt must have 24'],
    [
      'a letter no share has',
      ([a = '', b = '', c = '']) => [a, b, `U${c.slice(1)}`],
      'line 3 of a.txt has a character',
    ],
    ['its lines in another order', ([a = '', b = '', c = '']) => [b, a, c], 'line 1 of a.txt is mistyped'],
  ])('refuses %s, naming the place', (_, alter, words) => {
    const text = alter([...writeShare(one)]).join('\n');
    expect(() => readShare(text, 'a.txt')).toThrow(words);
  });
  it('refuses lines of two shares', () => {
    const [a = ''] = writeShare(one);
    const [, b = '', c = ''] = writeShare({ ...one, number: 3, value: new Uint8Array(33).fill(8) });
    expect(() => readShare([a, b, c].join('\n'), 'a.txt')).toThrow('the lines of a.txt are not of one share');
  });
  it('finds one wrong symbol in its line, all but one time in 256', () => {
    const lines = writeShare(one);
    const found = [...'0123456789ABCDEFGHJKMNPQRSTVWXYZ'].filter((symbol) => {
      const altered = [lines[0], `${lines[1]?.slice(0, 8)}${symbol}${lines[1]?.slice(9)}`, lines[2]].join('\n');
      if (altered === lines.join('\n')) return false;
      expect(() => readShare(altered, 'a.txt')).toThrow(expect.objectContaining({ code: 'share_refused' }));
      return true;
    });
    expect(found).toHaveLength(31);
  });
  it('reads what was written, however it is typed', () => {
    fc.assert(
      fc.property(share, fc.boolean(), (given, sloppy) => {
        const text = shareDocument(given, 32);
        const typed = sloppy
          ? writeShare(given)
              .map((line) => line.toLowerCase().replaceAll('-', ' ').replaceAll('0', 'o').replaceAll('1', 'l'))
              .join('\r\n\r\n')
          : text;
        const read = readShare(typed, 'a.txt');
        expect({ ...read, value: [...read.value] }).toEqual({ ...given, value: [...given.value] });
      }),
    );
  });
});

describe('rekeyVault()', () => {
  let old: UnsealMethod;
  let other: UnsealMethod;
  beforeEach(() => {
    const keyfile = (name: string) => {
      createSecretFile(join(secrets, name), randomBytes(32));
      return keyfileMethod(join(secrets, name));
    };
    const secrets = mkdtempSync(join(tmpdir(), 'latchkey-secrets-'));
    onTestFinished(() => rmSync(secrets, { recursive: true }));
    [old, other] = [keyfile('old'), keyfile('other')];
  });
  const file = () => readFileSync(join(folder, 'vault.json'), 'utf8');

  it.each<[string, () => Partial<Parameters<typeof rekeyVault>[2]>]>([
    ['what was told does not open it again', () => ({ readBack: old })],
    ['it cannot be put on record', () => ({ record: () => Promise.reject(new Error('disk full')) })],
  ])('leaves the old file when %s', async (_, part) => {
    const made = await makeVault(old, randomBytes);
    storeVault(folder, made);
    const before = file();
    const rekeying = { method: other, record: async () => undefined, ...part() };
    await expect(rekeyVault(folder, made.vault, rekeying, randomBytes)).rejects.toThrow();
    expect(file()).toBe(before);
    expect(readdirSync(folder)).toEqual(['vault.json']);
  });
  it('leaves the old file when another change is under way', async () => {
    const made = await makeVault(old, randomBytes);
    storeVault(folder, made);
    const before = file();
    writeFileSync(join(folder, 'vault.json.rekey'), 'of somebody else');
    let recorded = false;
    const record = async () => {
      recorded = true;
    };
    const failure = rekeyVault(folder, made.vault, { method: other, record }, randomBytes);
    await expect(failure).rejects.toMatchObject({ code: 'file_exists' });
    expect([file(), recorded]).toEqual([before, false]);
    expect(readFileSync(join(folder, 'vault.json.rekey'), 'utf8')).toBe('of somebody else');
  });
  it('wraps the same data key: what was sealed opens, the old secret opens nothing', async () => {
    const made = await makeVault(old, randomBytes);
    storeVault(folder, made);
    const box = made.vault.seal(item, Buffer.from('sealed before'));
    let seen = '';
    const record = async () => {
      seen = file();
    };
    const before = file();
    await rekeyVault(folder, made.vault, { method: other, record }, randomBytes);
    expect(seen).toBe(before); // on record first
    await expect(unsealVault(folder, old, randomBytes)).rejects.toMatchObject({ code: 'unseal_failed' });
    const vault = await unsealVault(folder, other, randomBytes);
    expect(vault.open(item, box).toString()).toBe('sealed before');
    expect(statSync(join(folder, 'vault.json')).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['vault.json']);
  });
});

describe('shares typed on a terminal', () => {
  /** A stand-in for a terminal: what is typed waits for the question that ends with `?`. */
  function typing(answers: readonly string[]): { io: CommandIo; shown: () => string } {
    const stdin = Object.assign(new PassThrough(), { isTTY: true });
    const stderr = new PassThrough();
    let shown = '';
    const rest = [...answers];
    stderr.on('data', (chunk: Buffer) => {
      shown += chunk.toString();
      if (chunk.toString().endsWith(': ')) stdin.write(`${rest.shift() ?? ''}\r`);
    });
    const terminal = { stdin, stdout: new PassThrough(), stderr, env: {} };
    const stopSignal = () => new AbortController().signal;
    return { io: { terminal, clock: systemClock, random: randomBytes, stopSignal }, shown: () => shown };
  }

  it('are asked for where nobody answers only with --share-file', async () => {
    const { io } = typing([]);
    const deaf = { ...io, terminal: { ...io.terminal, stdin: new PassThrough() } };
    await expect(unsealMethodFor('shares', {}, deaf)).rejects.toMatchObject({
      code: 'usage',
      hint: 'use --share-file FILE for each share',
    });
  });
  it('are asked for again after a slip, a foreign and a repeated one, and never shown', async () => {
    const { named } = await vaultOfShares(3, 2);
    const [first = [], second = []] = named.map(({ share }) => writeShare(share));
    const foreign = writeShare((await newShareSet(2, 2, randomBytes)).shares[0] as Share);
    const slip = first[0]?.replace(/^.{3}/, (start) => (start === '000' ? '111' : '000')) ?? '';
    const { io, shown } = typing([slip, ...first, ...foreign, ...first, ...second]);
    const vault = await unsealVault(folder, await unsealMethodFor('shares', {}, io), randomBytes);
    expect(vault).toBeDefined();
    expect(shown()).toContain('line 1 of the first share');
    expect(shown()).toContain('belongs to set');
    expect(shown()).toContain('share 1 was entered already');
    for (const line of [...first, ...second]) expect(shown()).not.toContain(line.slice(0, 6));
  });
});
