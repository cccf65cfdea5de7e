import { expect, it } from 'vitest';
import { CONFINED, CONFINED_NODE, homeProtection } from '../../platform/confinement.ts';

/** What is set, without the comments. */
const settings = (text: string) => text.split('\n').filter((line) => !line.startsWith('#'));

it('a unit that runs Node is kept from all that others are kept from, but for writing machine code', () => {
  expect(settings(CONFINED).filter((line) => !settings(CONFINED_NODE).includes(line))).toEqual([
    'MemoryDenyWriteExecute=yes',
  ]);
  expect(settings(CONFINED_NODE).filter((line) => !settings(CONFINED).includes(line))).toEqual([]);
});

it('nothing is said twice, lest a unit takes back what another line gives', () => {
  const names = settings(CONFINED).map((line) => line.split('=')[0]);
  expect(new Set(names).size).toBe(names.length);
});

it.each(['/home/ann/latchkey', '/root/key', '/run/user/1000/key'])(
  'homes are read, and only read, because of %s',
  (path) => {
    expect(homeProtection(['/srv/data', path])).toBe('read-only');
  },
);

it.each(['/srv/home/ann', '/homes/ann', '/home', '/rooted', '/run/users/1', '--keyfile'])(
  'homes are out of reach despite %s',
  (path) => {
    expect(homeProtection(['/srv/data', path])).toBe('yes');
  },
);
