import { afterEach, describe, expect, test } from 'vitest';
import { hasProgram } from '../harness/programs.ts';
import { WatchedPlace } from './watched-place.ts';

const shells = [['dash'], ['bash'], ['busybox', 'ash']].filter(([program = '']) => hasProgram(program)) as [
  string,
  ...string[],
][];

let places: WatchedPlace[] = [];
afterEach(() => {
  for (const place of places) place.remove();
  places = [];
});

async function watched(shell: readonly [string, ...string[]] = ['dash'], patience = 0): Promise<WatchedPlace> {
  const place = await WatchedPlace.make(shell, patience);
  places.push(place);
  return place;
}

describe.each(shells.map((shell) => ({ shell, name: shell.join(' ') })))('under $name', ({ shell }) => {
  test('asks occ once, and nothing more while no file changes', async () => {
    const place = await watched(shell);
    expect(await place.run()).toEqual({ exit: 0, stderr: '' });
    expect(place.calls()[0]).toBe('status --output=json');
    expect(await place.run()).toEqual({ exit: 0, stderr: '' });
    expect(place.calls()).toEqual([]);
    expect(place.left('looked')).toMatch(/^\d{13} fine$/);
  });

  test('puts the app back after an upgrade that wiped and switched it off, and tells the owner', async () => {
    const place = await watched(shell);
    await place.run();
    place.removeApp();
    place.occ('enabled', 'no');
    place.upgraded();
    expect(await place.run()).toEqual({ exit: 0, stderr: 'watch: the app was put back (release)\n' });
    expect([place.appState(), place.told('enabled'), place.beside()]).toEqual(['whole', 'yes', []]);
    expect(place.notice()).toEqual({ code: 'reapplied', at: expect.any(Number), from: '32.0.2', to: '33.0.1' });
    expect(place.left('repaired')).toMatch(/^\d{13} 1 release \d+ 32\.0\.2 33\.0\.1$/);
    place.calls();
    await place.run();
    expect(place.calls()).toEqual([]);
  });
});
