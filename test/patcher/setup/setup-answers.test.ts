import { describe, expect, it } from 'vitest';
import { isYes } from '../../../patcher/commands/setup-options.ts';

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
    expect(person.asked).toHaveLength(4);
  });

  it.each(['no', 'n', 'No'])('is a no by "%s"', async (answer) => {
    expect(await isYes(somebody(answer), 'do this?')).toBe(false);
  });
});
