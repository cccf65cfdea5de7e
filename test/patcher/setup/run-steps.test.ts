import { describe, expect, it } from 'vitest';
import { describeSteps, refuseAhead, runSteps } from '../../../patcher/setup/run-steps.ts';
import type { SetupStep, StepLook, StepName } from '../../../patcher/setup/setup-step.ts';
import { describeRemoval, takeAllAway } from '../../../patcher/setup/teardown.ts';
import { LatchkeyError } from '../../../platform/errors.ts';

interface Pretend {
  readonly look?: StepLook;
  readonly needs?: readonly StepName[];
  readonly fails?: LatchkeyError;
  readonly undoFails?: boolean;
  readonly removal?: readonly string[];
}

/** Steps that write down what they are told, and what a run made of them. */
function scene(steps: Readonly<Partial<Record<StepName, Pretend>>>) {
  const calls: string[] = [];
  const notes: string[] = [];
  const states: string[] = [];
  const built = (Object.entries(steps) as [StepName, Pretend][]).map(
    ([name, pretend]): SetupStep => ({
      name,
      title: `title of ${name}`,
      needs: pretend.needs ?? [],
      look: async () => pretend.look ?? { state: 'missing' },
      plan: async () => [`plan of ${name}`],
      carryOut: async () => {
        calls.push(`do ${name}`);
        if (pretend.fails !== undefined) throw pretend.fails;
        return [`did ${name}`];
      },
      undo: async () => {
        calls.push(`undo ${name}`);
        if (pretend.undoFails === true) throw new LatchkeyError('undo_broken', 'the line is gone');
        return [];
      },
      planRemoval: async () => pretend.removal ?? [],
      takeAway: async () => {
        calls.push(`away ${name}`);
        if (pretend.fails !== undefined) throw pretend.fails;
        return [`stays: ${name}`];
      },
    }),
  );
  const progress = { step: (text: string) => notes.push(text), note: (text: string) => notes.push(text) };
  const deps = {
    progress,
    allowed: async (_: SetupStep) => true,
    remember: (name: StepName, state: string) => states.push(`${name} ${state}`),
  };
  return { steps: built, deps, calls, notes, states, progress };
}

const broken = new LatchkeyError('broken', 'it broke');

describe('the steps of a setup', () => {
  it('undoes the one that fails, keeps those before it, and begins none after it', async () => {
    const { steps, deps, calls, states } = scene({ wireguard: {}, 'key-server': { fails: broken }, hook: {} });
    await expect(runSteps(steps, deps)).rejects.toBe(broken);
    expect(calls).toEqual(['do wireguard', 'do key-server', 'undo key-server']);
    expect(states).toEqual(['wireguard begun', 'wireguard done', 'key-server begun', 'key-server undone']);
  });

  it.each<[StepName]>([['key-server'], ['enrol']])(
    'asks first whether %s can be, as others may have it',
    async (name) => {
      const look = { state: 'impossible', code: 'client_taken', words: 'it is another', hint: 'name it' } as const;
      const { steps, calls } = scene({ wireguard: {}, 'ssh-tunnel': {}, [name]: { look } });
      for (const isFirst of [true, false]) {
        await expect(refuseAhead(steps, isFirst)).rejects.toMatchObject({
          code: 'client_taken',
          exit: 3,
          hint: 'name it',
        });
      }
      expect(calls).toEqual([]);
    },
  );

  it.each<[StepName]>([['hook'], ['ssh-tunnel']])(
    'asks first whether %s can be, unless a setup is there that what comes before may mend',
    async (name) => {
      const look = { state: 'impossible', code: 'state_would_vanish', words: 'no volume', hint: 'add it' } as const;
      const { steps, calls } = scene({ wireguard: {}, 'key-server': {}, [name]: { look } });
      await expect(refuseAhead(steps, true)).rejects.toMatchObject({ code: 'state_would_vanish', exit: 3 });
      await refuseAhead(steps, false);
      expect(calls).toEqual([]);
    },
  );

  it('asks nothing first of those that what comes before makes possible', async () => {
    const look = { state: 'impossible', code: 'no_scheduler', words: 'none', hint: 'install it' } as const;
    await refuseAhead(scene({ 'key-server': {}, enrol: {}, hook: {}, watch: { look } }).steps, true);
  });

  it('tells why it failed, and not that the undoing failed too', async () => {
    const { steps, deps, notes, states } = scene({ wireguard: { fails: broken, undoFails: true } });
    await expect(runSteps(steps, deps)).rejects.toBe(broken);
    expect(notes.at(-1)).toBe(
      'not all of it could be undone now: the line is gone (undo_broken); the next run goes on with it',
    );
    expect(states).toEqual(['wireguard begun']);
  });

  it('does nothing of what is impossible', async () => {
    const look = { state: 'impossible', code: 'no_init', words: 'nothing starts it', hint: 'do that' } as const;
    const { steps, deps, calls, states } = scene({ wireguard: { look }, hook: {} });
    await expect(runSteps(steps, deps)).rejects.toMatchObject({ code: 'no_init', exit: 3, hint: 'do that' });
    expect([calls, states]).toEqual([[], []]);
  });

  it('leaves out what needs a step that was declined', async () => {
    const { steps, deps, calls, states } = scene({
      enrol: {},
      escrow: { needs: ['enrol'] },
      watch: { needs: ['hook'] },
    });
    const reports = await runSteps(steps, { ...deps, allowed: async ({ name }) => name !== 'enrol' });
    expect(reports.map(({ name, outcome }) => `${name} ${outcome}`)).toEqual([
      'enrol declined',
      'escrow left out',
      'watch done',
    ]);
    expect(calls).toEqual(['do watch']);
    expect(states).toEqual(['enrol declined', 'watch begun', 'watch done']);
  });

  it('asks nothing of what is in place, and shows everything else before it asks', async () => {
    const { steps, deps, notes } = scene({ wireguard: { look: { state: 'done', words: 'it is up' } }, hook: {} });
    const asked: string[] = [];
    await runSteps(steps, {
      ...deps,
      allowed: async ({ name }) => {
        asked.push(`${name}, shown: ${notes.at(-1)}`);
        return true;
      },
    });
    expect(asked).toEqual(['hook, shown: plan of hook']);
    expect(notes).toContain('1/2 wireguard: title of wireguard');
    expect(notes).toContain('in place: it is up');
  });

  it('shows all without doing any', async () => {
    const impossible = { state: 'impossible', code: 'no', words: 'cannot be', hint: 'that' } as const;
    const { steps, calls } = scene({
      wireguard: { look: { state: 'done', words: 'up' } },
      hook: {},
      watch: { look: impossible },
    });
    const told: string[] = [];
    const plans = await describeSteps(steps, ({ name }) => told.push(name));
    expect(told).toEqual(['wireguard', 'hook', 'watch']);
    expect(plans.map(({ state, lines }) => [state, ...lines])).toEqual([
      ['done', 'up'],
      ['missing', 'plan of hook'],
      ['impossible', 'cannot be (no)', 'that'],
    ]);
    expect(calls).toEqual([]);
  });
});

describe('a teardown', () => {
  it('has the keys back before anything else goes, however it ends', async () => {
    const removal = ['something'];
    const { steps, calls, progress } = scene({
      wireguard: { removal },
      escrow: { removal, fails: broken },
      watch: { removal },
    });
    expect((await describeRemoval(steps)).map(({ name }) => name)).toEqual(['escrow', 'watch', 'wireguard']);
    await expect(takeAllAway(steps, { purge: false }, progress)).rejects.toBe(broken);
    expect(calls).toEqual(['away escrow']);
  });

  it('goes backwards over what is there, and ends where something fails', async () => {
    const removal = ['something'];
    const { steps, calls, progress } = scene({
      wireguard: { removal },
      'key-server': { removal, fails: broken },
      hook: {},
      escrow: { removal },
    });
    expect((await describeRemoval(steps)).map(({ name }) => name)).toEqual(['escrow', 'key-server', 'wireguard']);
    await expect(takeAllAway(steps, { purge: false }, progress)).rejects.toBe(broken);
    expect(calls).toEqual(['away escrow', 'away key-server']);
  });
});
