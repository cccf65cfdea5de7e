import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { declareCommands } from '../../patcher/commands/declare.ts';
import { runProgram } from '../../platform/command-line.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lk-cli-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const CANARY = 'c4n4ry-that-must-not-be-seen';

function file(name: string, text: string, mode = 0o600): string {
  writeFileSync(join(folder, name), text, { mode });
  return join(folder, name);
}

/** What the program prints and ends with; it reaches no server in any of these. */
async function ncpatch(argv: readonly string[], input = ''): Promise<{ exit: number; out: string; err: string }> {
  const streams = { out: new PassThrough(), err: new PassThrough() };
  const kept = { out: '', err: '' };
  for (const name of ['out', 'err'] as const) {
    streams[name].on('data', (chunk: Buffer) => {
      kept[name] += chunk.toString('utf8');
    });
  }
  const terminal = { stdin: Readable.from([Buffer.from(input)]), stdout: streams.out, stderr: streams.err, env: {} };
  const exit = await runProgram(
    'ncpatch',
    (program) =>
      declareCommands(program, {
        terminal,
        prompter: null,
        appFolder: folder,
        now: () => 0,
        random: (n) => Buffer.alloc(n),
        by: { user: 'u', machine: 'm', pid: 1 },
        self: ['/bin/false'],
        interrupts: process,
        endWith: () => undefined,
      }),
    argv,
    terminal,
  );
  return { exit, ...kept };
}

describe('usage errors end with 2 and say what to do', () => {
  test.each<[string[], string]>([
    [[], 'a command is missing'],
    [['frobnicate'], "unknown command 'frobnicate'"],
    [['detect'], 'exactly one of "--ssh user@host" and "--local" must be given'],
    [['detect', '--local', '--ssh', 'root@host'], 'exactly one of "--ssh user@host" and "--local" must be given'],
    [['detect', '--ssh', 'host'], '"--ssh" must be user@host or user@host:port; the user is missing'],
    [['detect', '--ssh', 'root@host:70000'], '"--ssh" must have a port from 1 to 65535'],
    [['detect', '--local', '--root', 'relative'], '"--root" must be an absolute path without a slash at its end'],
    [['detect', '--local', '--root', '/'], '"--root" must be an absolute path without a slash at its end'],
    [['apply', '--local', '--force'], "unknown option '--force'"],
    [['enroll', '--local', '--url', 'https://k'], "required option '--ca <file>' not specified"],
    [['escrow', '--local'], '"--copy FILE" must say where the owner\'s copy of the keys goes'],
  ])('%j', async (argv, message) => {
    const done = await ncpatch(argv);
    expect(done).toMatchObject({ exit: 2, out: '' });
    expect(done.err.split('\n')[0]).toBe(`ncpatch: error: ${message}`);
  });
});

test('with --json the error is on standard output too', async () => {
  const done = await ncpatch(['detect', '--json']);
  expect(JSON.parse(done.out)).toEqual({
    error: { code: 'usage', message: 'exactly one of "--ssh user@host" and "--local" must be given' },
  });
});

test('a secret file that others may read is refused', async () => {
  const code = file('code', `${CANARY}\n`, 0o644);
  const argv = ['enroll', '--local', '--url', 'https://k', '--ca', file('ca', 'x'), '--code-file', code];
  const done = await ncpatch(argv);
  expect(done).toEqual({
    exit: 3,
    out: '',
    err: `ncpatch: error: ${code} can be read by others (mode 644)\nncpatch: hint: chmod 600 ${code}\n`,
  });
});

test('a secret file of several lines is refused, and none of it is shown', async () => {
  const code = file('code', `${CANARY}\n${CANARY}\n`);
  const done = await ncpatch(['enroll', '--local', '--url', 'https://k', '--ca', file('ca', 'x'), '--code-file', code]);
  expect(done.exit).toBe(2);
  expect(done.err).toContain('"--code-file" must hold the enrolment code on one line and nothing else');
  expect(done.err + done.out).not.toContain(CANARY);
});

test('a secret that is not given is asked for, which needs a terminal', async () => {
  const done = await ncpatch(['enroll', '--local', '--url', 'https://k', '--ca', file('ca', 'x')]);
  expect(done).toMatchObject({ exit: 2, out: '' });
  expect(done.err).toBe(
    'ncpatch: error: there is no terminal to ask for the enrolment code\n' +
      'ncpatch: hint: hand it over with --code-file FILE, or --code-file - for standard input\n',
  );
});

test('standard input does not hold two secrets', async () => {
  const argv = [
    'escrow',
    '--local',
    '--copy',
    join(folder, 'copy'),
    '--grant-file',
    '-',
    '--copy-passphrase-file',
    '-',
  ];
  const done = await ncpatch(argv, `${CANARY}\n`);
  expect(done).toMatchObject({ exit: 2, out: '' });
  expect(done.err).not.toContain(CANARY);
});

test('too much on standard input is refused', async () => {
  const argv = ['enroll', '--local', '--url', 'https://k', '--ca', file('ca', 'x'), '--code-file', '-'];
  const done = await ncpatch(argv, CANARY.repeat(1000));
  expect(done).toMatchObject({ exit: 2, out: '' });
  expect(done.err).not.toContain(CANARY);
});

test('a folder that is no nextcloud is told', async () => {
  const done = await ncpatch(['detect', '--local', '--root', folder]);
  expect(done).toEqual({
    exit: 1,
    out: '',
    err:
      `ncpatch: error: there is no nextcloud in ${folder}\n` +
      'ncpatch: hint: the folder must hold version.php, occ and lib/base.php\n',
  });
});

test('every command says what it is for', async () => {
  const done = await ncpatch(['--help']);
  expect(done.exit).toBe(0);
  const names = ['detect', 'plan', 'status', 'verify', 'apply', 'rollback', 'remove', 'enroll', 'escrow', 'restore'];
  for (const name of names) expect(done.out).toMatch(new RegExp(`^  ${name} .*\\S`, 'm'));
});
