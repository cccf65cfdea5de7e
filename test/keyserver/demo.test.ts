import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../platform/run.ts';
import { BackgroundProcess } from '../harness/background-process.ts';

const root = resolve(import.meta.dirname, '../..');
const demo = [process.execPath, '--disable-warning=ExperimentalWarning', join(root, 'keyserver/demo/main.ts')] as const;
let folder: string;
let env: Record<string, string>;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-demo-test-'));
  env = {
    TMPDIR: folder,
    LATCHKEY_NEXTCLOUD_DIR: join(folder, 'none'),
    NODE_COMPILE_CACHE: join(root, '.cache/compiled'),
  };
});
afterAll(() => rmSync(folder, { recursive: true }));

const leftovers = () => readdirSync(folder);

describe('the walk-through', () => {
  it('refuses an option it does not know', async () => {
    const said = await run([...demo, '--twice'], { timeoutMs: 60_000, allowExit: 'any', env });
    expect(said.exit).toBe(2);
    expect(leftovers()).toEqual([]);
  });
  it('shows programs what every attack got, a document a line, and leaves nothing behind', async () => {
    const said = await run([...demo, '--once', '--json'], { timeoutMs: 60_000, env });
    const scenes = said.stdout
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { step: string });
    expect(scenes).toMatchObject([
      { step: 'server' },
      { step: 'enrolment', codeAgain: '401 unauthorized' },
      { step: 'escrow', status: 201, filesInClear: [] },
      { step: 'release', open: 200, release: 200, sameBytes: true },
      { step: 'audit' },
      { step: 'replay', status: 409, code: 'stale_message', chainMoved: false },
      { step: 'wrong-token', status: 401, code: 'unauthorized', record: { reason: 'wrong token' } },
      { step: 'clone', honest: 200, status: 423, code: 'locked', reason: 'fork', heartbeat: 'purge' },
      { step: 'recovery', release: 200, sameBytes: true, heartbeat: 'ok' },
      { step: 'nextcloud', skipped: 'no release in LATCHKEY_NEXTCLOUD_DIR' },
      { step: 'next' },
    ]);
    expect(leftovers()).toEqual([]);
  });
  it('names for the way on what the README says', async () => {
    const said = await run([...demo, '--once', '--json'], { timeoutMs: 60_000, env });
    const last = JSON.parse(said.stdout.toString().trimEnd().split('\n').at(-1) ?? '') as { own: string[] };
    const page = readFileSync(join(root, 'README.md'), 'utf8').split('\n');
    expect(last.own.length).toBeGreaterThan(1);
    expect(last.own.filter((line) => !page.includes(line))).toEqual([]);
  });
  it('writes no colour where there is no terminal', async () => {
    const said = await run([...demo, '--once'], { timeoutMs: 60_000, env });
    expect(said.stdout.includes(0x1b)).toBe(false);
    expect(said.stderr).toBe('');
  });
  it('serves on until it is told to stop, and takes its folder with it', async () => {
    const running = await BackgroundProcess.start(demo, { env, readyWhen: /until Ctrl-C/, timeoutMs: 60_000 });
    const data = / {2}data {10}(\S+)/.exec(running.output())?.[1] ?? '';
    const url = /serving (https:\S+) until/.exec(running.output())?.[1] ?? '';
    const curl = ['curl', '-s', '--cacert', join(data, 'ca.pem'), `${url}/health`] as const;
    expect((await run(curl, { timeoutMs: 10_000 })).stdout.toString()).toBe('{"status":"ok"}');
    for (let count = 0; count < 3; count++) process.kill(running.pid, 'SIGINT');
    await running.stop(15_000);
    expect(existsSync(dirname(data))).toBe(false);
    expect(leftovers()).toEqual([]);
  });
});
