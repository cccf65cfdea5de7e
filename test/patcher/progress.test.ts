import { expect, it } from 'vitest';
import { progressOn } from '../../patcher/progress.ts';

function told(isTTY: boolean): { readonly text: () => string; readonly progress: ReturnType<typeof progressOn> } {
  const parts: string[] = [];
  const progress = progressOn({ isTTY, write: (text) => parts.push(text) });
  return { text: () => parts.join(''), progress };
}

it('a portion is one line of a terminal, written anew once for each percent, and gives way to what follows', () => {
  const { text, progress } = told(true);
  progress.step('hash');
  for (const done of [0, 1, 2, 100, 200]) progress.portion?.(done, 200, 'files');
  progress.step('compare');
  progress.note('done');
  const line = (words: string): string => `\r\u001b[K    ${words}`;
  expect(text()).toBe(
    `[#] hash\n${line('0 of 200 files, 0 %')}${line('2 of 200 files, 1 %')}${line('100 of 200 files, 50 %')}` +
      `${line('200 of 200 files, 100 %')}\r\u001b[K[#] compare\n    done\n`,
  );
});

it('a portion is gone when somebody else is to write', () => {
  const { text, progress } = told(true);
  progress.portionsEnd?.();
  expect(text()).toBe('');
  progress.portion?.(1, 2, 'files');
  progress.portionsEnd?.();
  progress.step('compare');
  expect(text()).toBe('\r\u001b[K    1 of 2 files, 50 %\r\u001b[K[#] compare\n');
});

it('a log is not filled with portions', () => {
  const { text, progress } = told(false);
  progress.step('hash');
  progress.portion?.(1, 2, 'files');
  expect(text()).toBe('[#] hash\n');
});

it('words of another machine do not steer the terminal', () => {
  const { text, progress } = told(true);
  progress.note('Nextcloud\u001b[2J in /srv\u0007\u009b1A\u202e, a\tb');
  expect(text()).toBe('    Nextcloud?[2J in /srv??1A?, a\tb\n');
});
