import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { askDoorbell, hangDoorbell, type Ring, ringDoorbell } from '../../wireguard/hub/doorbell.ts';
import { readReport } from '../../wireguard/hub/hub-report.ts';

let folder: string;
let path: string;
let heard: Ring[] = [];
let answer = true;
let unhang: () => Promise<void>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lk-doorbell-'));
  path = join(folder, 'hub.sock');
  const report = () => ({ pid: 7, interfaces: [] });
  unhang = await hangDoorbell(path, async (ring) => (heard.push(ring) > 0 && answer ? 'live' : 'later'), report);
});
afterAll(async () => {
  await unhang();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  heard = [];
  answer = true;
});

/** What the hub says to these words. */
const saying = (words: string): Promise<string> =>
  new Promise((resolve) => {
    let text = '';
    const line = connect(path, () => line.write(words));
    line.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    line.on('error', () => undefined);
    line.on('close', () => resolve(text));
  });

test.each([
  ['no JSON', 'status'],
  ['a question that is none', '{"ask":"keys"}'],
  ['a question with more in it', '{"ask":"status","of":"wg0"}'],
  ['a ring without peers', '{"interface":"wg0"}'],
  ['a ring with more in it', '{"interface":"wg0","publicKeys":[],"endpoint":"x"}'],
  ['more peers than a ring may name', JSON.stringify({ interface: 'wg0', publicKeys: Array(10_001).fill('k') })],
])('%s is refused, and told to nobody', async (_, words) => {
  expect(await saying(`${words}\n`)).toBe('refused\n');
  expect(heard).toEqual([]);
});

test('whoever talks for more than a megabyte is cut off', async () => {
  expect(await saying('x'.repeat(1024 * 1024 + 1))).toBe('');
  expect(heard).toEqual([]);
});

test('only the hub’s own user reaches it', () => {
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('a ring is told, and answered by how the interface took it', async () => {
  const ring = { interface: 'wg0', publicKeys: ['a', 'b'] };
  expect(await ringDoorbell(path, ring)).toBe('live');
  answer = false;
  expect(await ringDoorbell(path, ring)).toBe('later');
  expect(heard).toEqual([ring, ring]);
});

test('a question is answered with the report, and rings nobody', async () => {
  expect(readReport(await askDoorbell(path))).toEqual({ pid: 7, interfaces: [] });
  expect(heard).toEqual([]);
});

test('without a hub nobody answers; what answers otherwise is no report', async () => {
  const other = join(folder, 'other.sock');
  expect(existsSync(other)).toBe(false);
  expect(await ringDoorbell(other, { interface: 'wg0', publicKeys: [] })).toBe('none');
  expect(await askDoorbell(other)).toBeNull();
  const server = createServer((line) => line.resume().end('{"pid":"seven"}\n'));
  await new Promise<void>((resolve) => server.listen(other, resolve));
  expect(readReport(await askDoorbell(other))).toBeNull();
  server.removeAllListeners('connection').on('connection', (line) => line.resume().end('what?\n'));
  expect(await askDoorbell(other)).toBeNull();
  await new Promise((resolve) => server.close(resolve));
});

test('a hub that stops does not wait for who says nothing', async () => {
  const other = join(folder, 'other.sock');
  const stop = await hangDoorbell(
    other,
    () => Promise.resolve('live'),
    () => null,
  );
  const silent = connect(other);
  const closed = new Promise((resolve) => silent.on('close', resolve));
  await new Promise((resolve) => silent.on('connect', resolve));
  await stop();
  await closed;
}, 10_000);

test('a data directory whose path is too long for a socket is told as such', async () => {
  const long = join(folder, 'x'.repeat(120));
  const hung = hangDoorbell(
    long,
    () => Promise.resolve('live'),
    () => null,
  );
  await expect(hung).rejects.toMatchObject({ code: 'listen_failed', hint: expect.stringContaining('107 bytes') });
});
