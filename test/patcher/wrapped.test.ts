import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { progressOn } from '../../patcher/progress.ts';
import { columnsOf, wrapped } from '../../patcher/wrapped.ts';

describe('wrapped()', () => {
  const long = '    at home: client cloud, which may ask from 10.71.3.2/32 and nowhere else';

  it('breaks between words, and hangs what follows', () => {
    expect(wrapped(long, 40, 6)).toBe(
      '    at home: client cloud, which may ask\n      from 10.71.3.2/32 and nowhere else',
    );
  });

  it.each([
    ['fits', long, long.length],
    ['goes to no terminal', long, null],
    ['has no blank to break at', `/${'x'.repeat(99)}`, 40],
    ['is empty', '', 40],
  ])('leaves a line as it is that %s', (_, line, width) => {
    expect(wrapped(line, width, 6)).toBe(line);
  });

  it('leaves a command in one piece, so that it can be copied', () => {
    const command = 'ncpatch plan --ssh root@cloud.example --identity /root/.ssh/latchkey --root /srv/cloud';
    expect(wrapped(`    each line of it: ${command}`, 60, 6)).toBe(`    each line of it:\n      ${command}`);
    expect(wrapped(`    each line of it: sudo -u latchkey keyserver status`, 40, 6)).toBe(
      '    each line of it:\n      sudo -u latchkey keyserver status',
    );
  });

  it('keeps below what is indented, and leaves no mark of a list alone', () => {
    expect(wrapped(`          cannot be told from here ${'x'.repeat(30)}`, 50, 6)).toBe(
      `          cannot be told from here\n          ${'x'.repeat(30)}`,
    );
    const place = `          - /srv/${'x'.repeat(60)}`;
    expect(wrapped(place, 60, 6)).toBe(place);
  });

  it('loses no word, and is as narrow as its words let it', () => {
    const words = fc.array(fc.stringMatching(/^[a-z/]{1,30}$/), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(words, fc.integer({ min: 40, max: 100 }), (all, width) => {
        const lines = wrapped(`    ${all.join(' ')}`, width, 6).split('\n');
        expect(lines.flatMap((line) => line.trim().split(' '))).toEqual(all);
        expect(lines.filter((line) => line.length > width)).toEqual([]);
        expect(lines.slice(1).every((line) => /^ {6}\S/.test(line))).toBe(true);
      }),
    );
  });
});

describe('columnsOf()', () => {
  it.each([
    [{}],
    [{ columns: 80 }],
    [{ isTTY: false, columns: 80 }],
    [{ isTTY: true }],
    [{ isTTY: true, columns: 20 }],
  ])('is nothing for %j', (stream) => expect(columnsOf(stream)).toBeNull());
  it('is how wide a terminal is', () => expect(columnsOf({ isTTY: true, columns: 80 })).toBe(80));
});

describe('what is told while it works', () => {
  const told = (isTTY: boolean): string => {
    const parts: string[] = [];
    const progress = progressOn({ isTTY, columns: 40, write: (text) => parts.push(text) });
    progress.step('make the key server in /var/lib/latchkey/keys at home');
    progress.note('on the server: write /etc/cron.d/latchkey');
    return parts.join('');
  };
  it('is broken between words on a terminal, so that a step and its notes can be told apart', () => {
    expect(told(true)).toBe(
      '[#] make the key server in\n    /var/lib/latchkey/keys at home\n    on the server: write\n      /etc/cron.d/latchkey\n',
    );
  });
  it('is one line each in a log', () => expect(told(false).split('\n')).toHaveLength(3));
});
