import { expect, it } from 'vitest';
import { commandLine, commandWords, pathWord, quoted, wholePath } from '../../platform/service-text.ts';

const ODD = `/srv/"it's" 100% $mine\\x`;

it.each([
  ['a line break', '/a\nExecStart=/b'],
  ['a zero', '/a\0b'],
  ['an escape', '/a\u001b[2J'],
])('no way to write a word or a path takes %s', (_, text) => {
  for (const write of [() => commandWords(['/bin/sh', text]), () => pathWord(text), () => wholePath(text)]) {
    expect(write).toThrow(expect.objectContaining({ code: 'invalid_request', exit: 2 }));
  }
});

it('words of a command are quoted where they need it, and mean what they did', () => {
  expect(commandWords(['/bin/sh', '-c', 'a b', ODD, ''])).toBe(
    `/bin/sh -c "a b" "/srv/\\"it's\\" 100%% $$mine\\\\x" ""`,
  );
  expect(commandLine('/bin/sh', [ODD])).toBe(`"/bin/sh" "/srv/\\"it's\\" 100%% $$mine\\\\x"`);
});

it('a dollar sign means something in a command alone', () => {
  expect(pathWord(ODD)).toBe(`"/srv/\\"it's\\" 100%% $mine\\\\x"`);
  expect(pathWord('/srv/plain')).toBe('/srv/plain');
  expect(quoted('A=$b')).toBe('"A=$b"');
});

it('a path that stands alone is taken as it is, but for what a percent sign begins', () => {
  expect(wholePath(ODD)).toBe(`/srv/"it's" 100%% $mine\\x`);
});
