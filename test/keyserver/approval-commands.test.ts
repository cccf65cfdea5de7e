import type { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findApproval } from '../../keyserver/approvals/approvals.ts';
import { askPerson, useApproval } from '../../keyserver/approvals/held-request.ts';
import { addApprovalCommands } from '../../keyserver/commands/approval.ts';
import { addClientCommands } from '../../keyserver/commands/client.ts';
import { systemRandom } from '../../platform/clock.ts';
import type { CommandIo } from '../../platform/command-io.ts';
import { runCommand, type Said } from './command-runner.ts';
import { makeTestData, type TestData } from './test-data.ts';

const minute = 60_000;
let made: TestData;
let clientId: string;

beforeAll(async () => {
  made = await makeTestData();
  clientId = (await made.add()).clientId;
});

afterAll(() => made.remove());

/** One command line, in this process. */
function keyserver(...argv: string[]): Promise<Said> {
  const build = (program: Command, io: CommandIo): void => {
    for (const add of [addApprovalCommands, addClientCommands]) add(program, io);
  };
  return runCommand(build, [...argv, '--data', made.data.directory], made.clock);
}

const json = async (...argv: string[]) =>
  JSON.parse((await keyserver(...argv, '--json')).stdout) as Record<string, unknown>;

let boots = 0;

/** A request that the gate `presence` holds; each from a boot of its own. */
async function held(): Promise<string> {
  const now = made.clock.now();
  const bootId = `6f1b7a52-0000-4000-8000-${String(boots++).padStart(12, '0')}`;
  const ruling = await made.data.store.transaction((tx) =>
    askPerson(
      tx,
      {
        client: { id: clientId, name: 'cloud' },
        holds: [{ gate: 'presence', reason: 'away' }],
        facts: {
          call: 'open',
          reason: 'cold',
          now: { time: now, source: '127.0.0.9', bootId, fingerprint: 'a'.repeat(64) },
          before: {
            source: '127.0.0.1',
            bootId: 'an older boot',
            fingerprint: 'a'.repeat(64),
            heardAt: now - 25 * minute,
            presentAt: now - 25 * minute,
            releasedAt: null,
          },
          absence: { since: now - 25 * minute, until: now, kind: 'away' },
        },
        page: (id) => `https://keys.example/${id}`,
      },
      now,
      systemRandom,
    ),
  );
  return 'refusal' in ruling ? String(ruling.refusal.approval) : ruling.approval;
}

const stateOf = async (id: string) =>
  (await made.data.store.read((tx) => findApproval(tx, id, made.clock.now()))).state;

describe('keyserver approval', () => {
  test.each(['show', 'approve', 'deny'])('%s of one that is not there fails', async (command) => {
    const said = await keyserver('approval', command, 'ap-0000000000000000');
    expect(said).toMatchObject({ exit: 1, stdout: '' });
    expect(said.stderr).toContain('there is no such approval');
  });

  test('list says when nothing waits', async () => {
    expect(await keyserver('approval', 'list')).toEqual({
      exit: 0,
      stdout: '',
      stderr: 'keyserver: hint: nothing waits for an answer\n',
    });
    expect(await json('approval', 'list')).toEqual({ approvals: [] });
  });

  test('refuses what is decided for good, with 3', async () => {
    const id = await held();
    await keyserver('approval', 'approve', id);
    await made.data.store.transaction((tx) => useApproval(tx, id, '127.0.0.9', made.clock.now()));
    const said = await keyserver('approval', 'deny', id);
    expect(said.exit).toBe(3);
    expect(said.stderr).toContain('this approval cannot be decided any more: it was used already');
    expect(await stateOf(id)).toBe('used');
  });

  test('shows what differs from last time, and what does not', async () => {
    const id = await held();
    const { stdout } = await keyserver('approval', 'show', id);
    expect(stdout).toMatch(/held by +presence \(away\)/);
    expect(stdout).toMatch(/differs +address +127\.0\.0\.1 +127\.0\.0\.9 +asked from somewhere else/);
    expect(stdout).toMatch(/differs +boot +an older boot/);
    expect(stdout).toMatch(/same +fingerprint +a{16}… +a{16}…/);
    expect(stdout).toMatch(/differs +presence +heard +away for 25 min +a machine that is off/);
    const shown = await json('approval', 'show', id);
    expect(shown).toMatchObject({ id, state: 'pending', client: { name: 'cloud' }, source: '127.0.0.9' });
    expect(shown.compared).toHaveLength(4);
  });

  test('list shows what waits, and with --all what is over', async () => {
    const id = await held();
    expect((await keyserver('approval', 'list')).stdout).toMatch(
      new RegExp(`^${id} +cloud +pending +presence +127\\.0\\.0\\.9 +2026-11-20T12:00:00Z +15 min$`, 'm'),
    );
    made.clock.set(made.clock.now() + 15 * minute);
    expect((await keyserver('approval', 'list')).stdout).toBe('');
    expect((await keyserver('approval', 'list', '--all')).stdout).toMatch(new RegExp(`^${id} +cloud +lapsed`, 'm'));
  });

  test('approve says for whom and until when, and is on record', async () => {
    const id = await held();
    const said = await keyserver('approval', 'approve', id);
    expect(said.exit).toBe(0);
    expect(said.stdout).toMatch(
      new RegExp(`^approved ${id}: cloud gets its keys once, if it asks from 127\\.0\\.0\\.9`),
    );
    expect(await stateOf(id)).toBe('approved');
    const rows = await made.data.store.read((tx) => tx.selectFrom('audit').select('body').execute());
    expect(rows.map(({ body }) => JSON.parse(body))).toContainEqual(
      expect.objectContaining({
        event: 'approval_given',
        client: clientId,
        detail: { approval: id, by: 'command', gate: 'presence', was: 'pending' },
      }),
    );
  });

  test('deny says no, and with --lock throws the client’s kill switch', async () => {
    const one = await held();
    expect(await json('approval', 'deny', one)).toMatchObject({ id: one, state: 'denied', locked: false });
    const killed = () =>
      made.data.store.read((tx) => tx.selectFrom('client').select('killed_at').executeTakeFirstOrThrow());
    expect((await killed()).killed_at).toBeNull();
    const other = await held();
    expect((await keyserver('approval', 'deny', other, '--lock')).stdout).toContain('keyserver revive --client cloud');
    expect((await killed()).killed_at).toBe(made.clock.now());
  });
});

describe('keyserver client policy', () => {
  test.each([
    ['--preset', 'lax'],
    ['--preset', 'preset'],
    ['--fingerprint', 'maybe'],
    ['--presence', 'deny'],
    ['--own-gap', 'deny'],
    ['--unheard', ''],
    ['--absence', '119'],
    ['--absence', '10m'],
    ['--habit', 'deny'],
    ['--schedule', 'Europe/Berlin'],
    ['--outside', 'alert'],
    ['--approval', 'always'],
  ])('refuses %s %s and changes nothing', async (option, value) => {
    const said = await keyserver('client', 'policy', 'cloud', option, value, '--ttl', '60');
    expect(said).toMatchObject({ exit: 2, stdout: '' });
    expect(await json('client', 'show', 'cloud')).toMatchObject({
      policy: { ttl: 3600 },
      gates: { preset: 'balanced', habit: 'alert' },
    });
  });

  test('sets a preset and what shall differ from it, and goes back', async () => {
    const argv = ['--preset', 'strict', '--absence', '1800', '--schedule', 'Europe/Berlin mon-fri 07:00-20:00'];
    const set = await json('client', 'policy', 'cloud', ...argv, '--fingerprint', 'hold', '--own-gap', 'alert');
    expect(set.gates).toEqual({
      preset: 'strict',
      fingerprint: 'hold',
      presence: 'hold',
      ownGap: 'alert',
      unheard: 'hold',
      absence: 1800,
      habit: 'hold',
      schedule: 'Europe/Berlin mon-fri 07:00-20:00',
      outside: 'deny',
      approval: 'every-boot',
    });
    expect((await keyserver('client', 'show', 'cloud')).stdout).toMatch(
      /gates +strict: fingerprint hold, presence hold after 30 min, own gap alert, .*Europe\/Berlin mon-fri 07:00-20:00/,
    );
    const back = await json('client', 'policy', 'cloud', '--fingerprint', 'preset', '--schedule', 'off');
    expect(back.gates).toMatchObject({ preset: 'strict', fingerprint: 'deny', absence: 1800, schedule: null });
  });
});
