import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { run } from '../../platform/run.ts';
import { hasProgram } from '../harness/programs.ts';

const MAIN = new URL('../../wireguard/main.ts', import.meta.url).pathname;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lk-generate-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function wghub(...args: string[]): Promise<{ exit: number; stdout: string; stderr: string }> {
  const argv = [process.execPath, '--disable-warning=ExperimentalWarning', MAIN, ...args] as const;
  const { exit, stdout, stderr } = await run([...argv], { timeoutMs: 30_000, allowExit: 'any' });
  return { exit, stdout: stdout.toString('utf8'), stderr };
}

describe('wghub generate', () => {
  test('writes files that only their owner may read, and that wg-quick takes', async () => {
    const out = join(folder, 'net');
    const made = await wghub(
      'generate',
      '--hub',
      'hub.example:51820',
      '--spokes',
      'a,b',
      '--out',
      out,
      '--network6',
      'fd88::/64',
    );
    expect(made).toMatchObject({ exit: 0, stderr: expect.stringContaining('wg-quick up wg0') });
    for (const name of ['hub', 'node-a', 'node-b']) {
      expect(statSync(join(out, name, 'wg0.conf')).mode & 0o777).toBe(0o600);
      if (hasProgram('wg-quick')) await run(['wg-quick', 'strip', join(out, name, 'wg0.conf')], { timeoutMs: 10_000 });
    }
    expect(readFileSync(join(out, 'network.env'), 'utf8')).toContain('WG_HUB_ADDRESS=10.88.0.1,fd88::1\n');
  });

  test('refuses a folder with something in it, and leaves it as it is', async () => {
    writeFileSync(join(folder, 'precious'), 'x');
    expect(await wghub('generate', '--hub', 'h:1', '--spokes', 'a', '--out', folder)).toMatchObject({
      exit: 3,
      stderr: expect.stringContaining('"--out"'),
    });
    expect(readdirSync(folder)).toEqual(['precious']);
  });

  test.each([
    [['--spokes', 'a'], '--hub'],
    [['--hub', 'h', '--spokes', 'a'], '"--hub"'],
    [['--hub', 'h:1', '--spokes', 'a,,b'], '--spokes'],
    [['--hub', 'h:1', '--spokes', 'a', '--network', '10.0.0.1/24'], '"--network'],
    [['--hub', 'h:1', '--spokes', 'a', '--keepalive', 'often'], '"--keepalive"'],
    [['--hub', 'h:1', '--spokes', 'a', '--level', 'most'], '--level'],
  ])('refuses %j with exit code 2, and writes nothing', async (args, words) => {
    const out = join(folder, 'net');
    expect(await wghub('generate', ...args, '--out', out)).toMatchObject({
      exit: 2,
      stdout: '',
      stderr: expect.stringContaining(words),
    });
    expect(existsSync(out)).toBe(false);
  });

  test('--level obfuscates hub and spokes alike, for awg-quick', async () => {
    const out = join(folder, 'net');
    const made = await wghub('generate', '--hub', 'h:1', '--spokes', 'a', '--level', 'high', '--out', out);
    expect(made).toMatchObject({ exit: 0, stderr: expect.stringContaining('/etc/amnezia/amneziawg/wg0.conf') });
    const types = ['hub', 'node-a'].map(
      (name) => /^H1 = .*$/m.exec(readFileSync(join(out, name, 'wg0.conf'), 'utf8'))?.[0],
    );
    expect(types[0]).toMatch(/^H1 = \d+-\d+$/);
    expect(types[1]).toBe(types[0]);
  });

  test('--json names the files and no keys', async () => {
    const made = await wghub('generate', '--hub', 'h:1', '--spokes', 'a', '--out', join(folder, 'net'), '--json');
    expect(JSON.parse(made.stdout)).toEqual({
      folder: join(folder, 'net'),
      files: ['hub/wg0.conf', 'node-a/wg0.conf', 'network.env'],
    });
  });
});
