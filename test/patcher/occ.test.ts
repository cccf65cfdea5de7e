import { expect, test } from 'vitest';
import * as z from 'zod';
import type { Occ } from '../../patcher/actions/action.ts';
import { lastJson, occJson, occText, openOcc } from '../../patcher/occ.ts';
import type { RunOptions, Transport } from '../../patcher/transports/transport.ts';

const answers =
  (exit: number, stdout: string, stderr = ''): Occ =>
  async () => ({ exit, stdout: Buffer.from(stdout), stderr });
const schema = z.object({ a: z.int() });

test('openOcc() runs as the owner, with the moved configuration, and secrets in the input only', async () => {
  const calls: { argv: readonly string[]; options: RunOptions | undefined }[] = [];
  const run: Transport['run'] = async (argv, options) => {
    calls.push({ argv, options });
    return { exit: 0, stdout: Buffer.alloc(0), stderr: '' };
  };
  const place = { root: '/srv/nc', configDirectory: '/etc/nc', user: 'wwwrun', php: '/usr/bin/php8' };
  await openOcc({ run } as Transport, place)(['status'], { input: 'secret' });
  expect(calls).toEqual([
    {
      argv: [
        ...['env', 'NEXTCLOUD_CONFIG_DIR=/etc/nc', '/usr/bin/php8', '-d', 'apc.enable_cli=1'],
        ...[
          '-d',
          'zend.exception_ignore_args=1',
          '-d',
          'display_errors=stderr',
          '/srv/nc/occ',
          '--no-warnings',
          'status',
        ],
      ],
      options: { as: 'wwwrun', timeoutMs: 120_000, input: 'secret' },
    },
  ]);
});

test.each([
  ['remotekey:verify', ['env', 'NC_maintenance=0', 'php']],
  ['status', ['php']],
  ['maintenance:mode', ['php']],
] as const)('openOcc() runs %s through maintenance mode only if it is the app’s own', async (command, begin) => {
  const calls: (readonly string[])[] = [];
  const run: Transport['run'] = async (argv) => {
    calls.push(argv);
    return { exit: 0, stdout: Buffer.alloc(0), stderr: '' };
  };
  await openOcc({ run } as Transport, { root: '/srv/nc', configDirectory: null, user: 'www-data', php: 'php' })([
    command,
  ]);
  expect(calls[0]?.slice(0, begin.length)).toEqual(begin);
});

test('occJson() finds the answer behind notices', async () => {
  await expect(occJson(answers(0, 'Deprecated: something\n{"a":1}\n'), ['x'], schema)).resolves.toEqual({ a: 1 });
  expect(lastJson('{\n "a": 1\n}\n')).toEqual({ a: 1 });
});

test("occJson() throws the app's refusal under its own code, without control characters", async () => {
  const refusal = JSON.stringify({ error: { code: 'grant_refused', message: 'no\u001b[31m\ngood', hint: 'get one' } });
  await expect(occJson(answers(1, refusal), ['x'], schema)).rejects.toMatchObject({
    code: 'grant_refused',
    message: 'no [31m good',
    hint: 'get one',
  });
});

test.each([
  ['another form', 0, '{"b":1}', 'occ_answer_unknown'],
  ['no JSON', 0, 'An unhandled exception', 'occ_failed'],
  ['an exit status', 1, '{"a":1}', 'occ_failed'],
  ['a refusal without a code', 1, '{"error":{"message":"x"}}', 'occ_failed'],
])('occJson() refuses %s', async (_, exit, stdout, code) => {
  await expect(occJson(answers(exit, stdout), ['x'], schema)).rejects.toMatchObject({ code });
});

test('what occ wrote is in no message', async () => {
  const failure = await occText(answers(1, 'canary-out', 'canary-err'), ['x']).catch((error: unknown) => error);
  expect(String(failure)).not.toMatch(/canary/);
  expect((failure as { hint?: string }).hint).not.toMatch(/canary/);
});
