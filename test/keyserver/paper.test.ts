import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newPaperSeal, type PaperKey, paperCodes, scannedKeys } from '../../keyserver/backup/paper.ts';
import { paperPage } from '../../keyserver/backup/paper-page.ts';
import { addAuditCommands } from '../../keyserver/commands/audit.ts';
import { addClientCommands } from '../../keyserver/commands/client.ts';
import { addInitCommand } from '../../keyserver/commands/init.ts';
import { addKeyCommands } from '../../keyserver/commands/key.ts';
import { createSecretFile } from '../../platform/files.ts';
import { keyfileMethod, passphraseMethod } from '../../platform/vault/unseal.ts';
import { findProgram } from '../harness/programs.ts';
import { runCommand } from './command-runner.ts';
import { someMoment } from './test-data.ts';

const key: PaperKey = { client: 'cloud', id: 'master_0123abcd.privateKey', bytes: Buffer.alloc(3400, 'canary!') };
const never = passphraseMethod(() => Promise.reject(new Error('was asked')));
const refused = (words: string) =>
  expect.objectContaining({ code: 'paper_refused', message: expect.stringContaining(words) });
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-paper-'));
  for (const name of ['a', 'b']) createSecretFile(join(folder, name), randomBytes(32));
});
afterAll(() => rmSync(folder, { recursive: true }));
/** Key files stand in for passphrases: they are not stretched, and quicker. */
const secret = (name: string) => keyfileMethod(join(folder, name));

describe('scannedKeys()', () => {
  const codes = () => [...paperCodes(key, null, randomBytes)];

  it.each<[string, (lines: string[]) => string[], string]>([
    ['nothing', () => ['', ' '], 'there is no code in it'],
    ['another sort of code', (lines) => [...lines, 'WIFI:S:home;;'], 'is no code of a paper copy'],
    ['a number behind the last', ([first = '']) => [first.replace(/:1\//, ':99/')], 'line 1 is no code'],
    ['a missing code', (lines) => lines.toSpliced(2, 1), 'code 3 of '],
    ['two codes of one number', (lines) => [...lines, (lines[0] ?? '').replace(/.$/, '7')], 'say different things'],
    [
      'two codes swapped',
      ([a = '', b = '', ...rest]) => [a.replace(':1/', ':2/'), b.replace(':2/', ':1/'), ...rest],
      'do not fit',
    ],
    [
      'a letter misread',
      ([a = '', ...rest]) => [a.replace(/.$/, (letter) => (letter === 'A' ? 'B' : 'A')), ...rest],
      'do not fit',
    ],
  ])('refuses %s', (_, alter, words) => {
    expect(() => scannedKeys(alter(codes()).join('\n'))).toThrow(refused(words));
  });
  it('refuses another passphrase', async () => {
    const seal = await newPaperSeal(secret('a'), randomBytes);
    const [scanned] = scannedKeys(paperCodes(key, seal, randomBytes).join('\n'));
    await expect(scanned?.open(secret('b'))).rejects.toEqual(refused('this passphrase does not open'));
  });
  it('refuses bytes that are not those of the digest', async () => {
    const [scanned] = scannedKeys(paperCodes({ ...key, bytes: Buffer.alloc(0) }, null, randomBytes).join('\n'));
    await expect(scanned?.open(never)).rejects.toEqual(refused('not those its digest names'));
  });
  it('tells nothing of a sealed key but its name', async () => {
    const seal = await newPaperSeal(secret('a'), randomBytes);
    const plain = new Set(codes().map((code) => code.slice(-100)));
    for (const code of paperCodes(key, seal, randomBytes)) expect(plain.has(code.slice(-100))).toBe(false);
  });
  it('gives back any keys, sealed or not, from codes in any order', async () => {
    const some = fc.record({
      client: fc.constant('cloud'),
      id: fc.stringMatching(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,60}$/),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 3000 }),
    });
    const seal = await newPaperSeal(secret('a'), randomBytes);
    await fc.assert(
      fc.asyncProperty(some, some, fc.boolean(), async (one, other, sealed) => {
        const lines = [one, other].flatMap((each) => paperCodes(each, sealed ? seal : null, randomBytes));
        const text = [...lines, ...lines].sort().join('\r\n');
        for (const each of [one, other]) {
          const found = scannedKeys(text).filter(({ id, isSealed }) => id === each.id && isSealed === sealed);
          const opened = await Promise.all(found.map((scanned) => scanned.open(sealed ? secret('a') : never)));
          expect(opened.some((bytes) => bytes.equals(each.bytes))).toBe(true);
        }
      }),
      { numRuns: 30 },
    );
  });
  it('opens with a stretched passphrase', async () => {
    const pass = passphraseMethod(async () => 'correct horse battery');
    const seal = await newPaperSeal(pass, randomBytes);
    const [scanned] = scannedKeys(paperCodes(key, seal, randomBytes).join('\n'));
    expect((await scanned?.open(pass))?.equals(key.bytes)).toBe(true);
  });
});

const browserPath = findProgram('chromium') ?? findProgram('chromium-browser');

describe('paperPage()', () => {
  const sections = (keys: readonly PaperKey[]) =>
    keys.map((one) => ({ key: one, codes: paperCodes(one, null, randomBytes) }));
  const facts = { url: 'https://10.8.0.1:8443', madeAt: someMoment, isSealed: false };

  it('lets no name become markup', async () => {
    const odd = { ...key, client: '<b>&"x' };
    const page = await paperPage({ ...facts, url: 'https://<script>', sections: sections([odd]) });
    expect(page).toContain('&lt;b&gt;&amp;&quot;x');
    expect(page).not.toMatch(/<script|<b>/);
  });
  it('says whether a passphrase is needed, and that "secret" is', async () => {
    const plain = await paperPage({ ...facts, sections: sections([key]) });
    const sealed = await paperPage({ ...facts, isSealed: true, sections: sections([key]) });
    expect(plain).toContain('The keys are in plain');
    expect(sealed).not.toContain('The keys are in plain');
    for (const page of [plain, sealed]) expect(page).toContain('<code>secret</code>');
  });
});

describe('keyserver key paper, printed and scanned', () => {
  const at = (name: string) => join(folder, name);
  const data = () => ['--data', at('data'), '--keyfile', at('a')];
  const keyserver = (...argv: string[]) =>
    runCommand((program, io) => {
      addInitCommand(program, io);
      addClientCommands(program, io);
      addKeyCommands(program, io);
      addAuditCommands(program, io);
    }, argv);
  const bytes = randomBytes(1700);
  beforeAll(async () => {
    createSecretFile(at('key'), bytes);
    createSecretFile(at('pass'), 'correct horse battery\n');
    createSecretFile(at('wrong'), 'correct horse batterie\n');
    await keyserver('init', ...data(), '--listen', '127.0.0.1:8443');
    for (const client of ['cloud', 'again']) await keyserver('client', 'add', client, '--data', at('data'));
  });

  it('writes nothing without a key, or sealed and plain at once', async () => {
    const out = ['--out', at('none.html')];
    expect(await keyserver('key', 'paper', ...data(), ...out, '--plain')).toMatchObject({ exit: 1, stdout: '' });
    const both = await keyserver('key', 'paper', ...data(), ...out, '--plain', '--paper-passphrase-file', at('pass'));
    expect(both.exit).toBe(2);
    const neither = await keyserver('key', 'paper', ...data(), ...out);
    expect(neither).toMatchObject({ exit: 2, stderr: expect.stringContaining('no terminal to ask') });
    expect(existsSync(at('none.html'))).toBe(false);
  });

  it.skipIf(browserPath === null)('comes back through a browser’s pixels, and loads nothing', async () => {
    await keyserver('key', 'import', 'cloud', 'm.privateKey', '--file', at('key'), ...data());
    const paper = ['--out', at('paper.html'), '--paper-passphrase-file', at('pass')];
    const said = await keyserver('key', 'paper', ...data(), ...paper);
    expect(said.stdout).toMatch(/^wrote 1 keys in [0-9]+ codes to /);
    expect(statSync(at('paper.html')).mode & 0o777).toBe(0o600);
    expect((await keyserver('key', 'paper', ...data(), ...paper)).exit).toBe(3);
    expect(readFileSync(at('paper.html'), 'utf8')).not.toMatch(/(src|href)=/);

    const lines = await scan(at('paper.html'));
    const take = async (client: string, scanned: string[], pass: string) => {
      rmSync(at('scanned'), { force: true });
      createSecretFile(at('scanned'), scanned.join('\n'));
      const from = ['--paper', at('scanned'), '--paper-passphrase-file', at(pass)];
      return keyserver('key', 'import', client, 'm.privateKey', ...from, ...data());
    };
    expect((await take('again', lines.slice(1), 'pass')).stderr).toMatch(/code 1 of [0-9]+ is missing/);
    expect((await take('again', lines, 'wrong')).stderr).toContain('this passphrase does not open m.privateKey');
    expect((await keyserver('key', 'list', 'again', ...data().slice(0, 2))).stdout).toBe('');
    expect((await take('again', lines.toReversed(), 'pass')).stdout).toMatch(/^stored m\.privateKey of again/);
    expect((await take('cloud', lines, 'pass')).stdout).toMatch(/^already stored m\.privateKey of cloud/);
    const tail = await keyserver('audit', 'tail', '--data', at('data'), '--json');
    expect(tail.stdout).toContain('"keys_put_on_paper"');
  });
});

/** Every code of a page, by its pixels as a browser prints them, read by a decoder that is not ours. */
async function scan(file: string): Promise<string[]> {
  const browser = await chromium.launch({ executablePath: browserPath ?? '', args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage({ viewport: { width: 900, height: 1200 } });
    const asked: string[] = [];
    page.on('request', (request) => void asked.push(request.url()));
    await page.goto(pathToFileURL(file).href);
    await page.emulateMedia({ media: 'print' });
    const reader = await browser.newPage();
    await reader.addScriptTag({ path: createRequire(import.meta.url).resolve('jsqr/dist/jsQR.js') });
    const lines: string[] = [];
    for (const svg of await page.locator('figure svg').all()) {
      lines.push(await reader.evaluate(readCode, (await svg.screenshot()).toString('base64')));
    }
    expect(asked).toEqual([pathToFileURL(file).href]);
    return lines;
  } finally {
    await browser.close();
  }
}

/** Runs in the browser: a picture's pixels through jsQR. */
async function readCode(base64: string): Promise<string> {
  interface Canvas {
    getContext(kind: '2d'): {
      drawImage(image: unknown, x: number, y: number): void;
      getImageData(
        x: number,
        y: number,
        w: number,
        h: number,
      ): { data: Uint8ClampedArray; width: number; height: number };
    };
  }
  const window = globalThis as unknown as {
    createImageBitmap(blob: Blob): Promise<{ width: number; height: number }>;
    OffscreenCanvas: new (width: number, height: number) => Canvas;
    jsQR(data: Uint8ClampedArray, width: number, height: number): { data: string } | null;
  };
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const image = await window.createImageBitmap(new Blob([bytes], { type: 'image/png' }));
  const context = new window.OffscreenCanvas(image.width, image.height).getContext('2d');
  context.drawImage(image, 0, 0);
  const { data, width, height } = context.getImageData(0, 0, image.width, image.height);
  return window.jsQR(data, width, height)?.data ?? 'nothing to read';
}
