import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CommandDeps } from '../../../patcher/commands/command.ts';
import { isYes, openRecord, withServer } from '../../../patcher/commands/setup-options.ts';
import { agree } from '../../../patcher/setup/agree.ts';
import { parseSetup } from '../../../patcher/setup/setup-config.ts';

/** Somebody who answers with these, one after the other, and then leaves. */
function somebody(...answers: string[]) {
  const asked: string[] = [];
  const ask = async (question: string): Promise<string | null> => {
    asked.push(question);
    return answers.shift() ?? null;
  };
  return { asked, ask };
}

describe('yes or no', () => {
  it.each(['quit', 'q', ' QUIT '])('ends with "%s", and says how to go on', async (answer) => {
    await expect(isYes(somebody(answer), 'do this?')).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('ends where nobody answers', async () => {
    await expect(isYes(somebody(), 'do this?')).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('takes nothing for a no that is not one: it asks again', async () => {
    const person = somebody('', 'yep', 'nope', 'yes');
    expect(await isYes(person, 'do this?')).toBe(true);
    expect(person.asked).toEqual(['do this?', ...Array.from({ length: 3 }, () => 'yes or no: do this?')]);
  });

  it.each(['no', 'n', 'No'])('is a no by "%s"', async (answer) => {
    expect(await isYes(somebody(answer), 'do this?')).toBe(false);
  });
});

describe('which server', () => {
  function asking(...answers: string[]) {
    const person = somebody(...answers);
    const said: string[] = [];
    const terminal = { stderr: { write: (text: string) => said.push(text) } };
    return { person, said, deps: { prompter: person, terminal } as unknown as CommandDeps };
  }

  it.each([[''], ['  ']])('is nothing that can be assumed: %j ends it', async (answer) => {
    await expect(withServer({}, asking(answer).deps)).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('is asked for again, with what is wrong with the answer', async () => {
    const { person, said, deps } = asking('cloud.example', 'root@cloud:0', ' root@cloud.example ');
    expect(await withServer({}, deps)).toEqual({ ssh: 'root@cloud.example' });
    expect(person.asked).toHaveLength(3);
    expect(said).toEqual([
      '    it must be user@host or user@host:port; the user is missing\n',
      '    it must have a port from 1 to 65535\n',
    ]);
  });

  it.each([[{ ssh: 'x' }], [{ local: true }], [{ config: 'setup.json' }], [{ yes: true }]])(
    'is not asked for with %j',
    async (options) => {
      const { person, deps } = asking();
      expect(await withServer(options, deps)).toBe(options);
      expect(person.asked).toEqual([]);
    },
  );
});

it('what an earlier run was told goes on to hold; what it was to leave out only where nothing is asked', async () => {
  const state = mkdtempSync(join(tmpdir(), 'latchkey-answers-'));
  try {
    const ssh = 'root@cloud.example';
    const deps = { terminal: { env: { XDG_STATE_HOME: state } } } as unknown as CommandDeps;
    const config = parseSetup({ server: { ssh }, transport: 'ssh', client: 'office', skip: ['watch'] }, '/');
    const agreed = await agree(config, 'linux', null, () => Promise.reject(new Error('not asked')));
    openRecord({ ssh }, deps).file.write({ version: 1, config, agreed, steps: {} });
    expect(openRecord({ ssh }, deps).config).toEqual({ ...config, skip: [] });
    expect(openRecord({ ssh, yes: true }, deps).config).toEqual(config);
    expect(openRecord({ ssh, yes: true, skip: ['escrow'] }, deps).config.skip).toEqual(['escrow']);
    expect(openRecord({ ssh, skip: ['escrow'] }, deps).config.skip).toEqual(['escrow']);
  } finally {
    rmSync(state, { recursive: true });
  }
});
