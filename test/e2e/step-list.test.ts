import { describe, expect, it } from 'vitest';
import { LatchkeyError } from '../../platform/errors.ts';
import { NotHere, StepList } from './step-list.ts';

describe('StepList', () => {
  it('does not try what comes after a failure', async () => {
    const list = new StepList(() => undefined);
    let tried = false;
    await list.step('breaks', () => Promise.reject(new Error('no')));
    await list.step('follows', async () => {
      tried = true;
      return undefined;
    });
    expect(tried).toBe(false);
    expect(list.results).toMatchObject([
      { name: 'breaks', outcome: 'failed', words: 'no' },
      { name: 'follows', outcome: 'skipped', words: '"breaks" failed' },
    ]);
  });

  it('goes on after a step that does not apply', async () => {
    const list = new StepList(() => undefined);
    await list.step('upgrade', () => Promise.reject(new NotHere('no newer release here')));
    await list.step('restore', async () => 'from the key server');
    expect(list.results).toMatchObject([
      { outcome: 'skipped', words: 'no newer release here' },
      { outcome: 'passed', words: 'from the key server' },
    ]);
  });

  it('repeats what a program said when it failed', async () => {
    const list = new StepList(() => undefined);
    await list.step('apply', () =>
      Promise.reject(new LatchkeyError('x', 'ended with 3', { extra: { said: 'hint: y' } })),
    );
    expect(list.results[0]?.words).toBe('ended with 3: hint: y');
  });
});
