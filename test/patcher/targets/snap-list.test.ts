import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  parseSnapList,
  parseSnapServices,
  parseSystemHold,
  withoutWaiting,
} from '../../../patcher/targets/snap-list.ts';

// as snapd prints them where the language is C
const LIST = `Name               Version      Rev    Tracking       Publisher     Notes
core20             20250822     2682   latest/stable  canonical**   base
nextcloud          33.0.5snap1  51000  latest/stable  nextcloud**   disabled
nextcloud          33.0.6snap1  52034  latest/stable  nextcloud**   held
nextcloud_two      32.0.8snap2  x1     -              -             devmode,disabled
`;
const SERVICES = `Service                    Startup   Current   Notes
nextcloud.apache           enabled   active    -
nextcloud.logrotate        enabled   inactive  timer-activated
nextcloud.php-fpm          disabled  inactive  -
`;

describe('parseSnapList()', () => {
  test('refuses what is no list', () => {
    for (const text of ['', 'error: no matching snaps installed\n', 'Nombre Versión Rev Seguimiento Editor Notas\n']) {
      expect(parseSnapList(text)).toBeNull();
    }
  });

  test('leaves out a line whose revision could lead out of its folder', () => {
    expect(parseSnapList(LIST.replace('52034', '../x '))?.map(({ revision }) => revision)).not.toContain('../x');
  });

  test('reads version, revision, channel and notes', () => {
    expect(parseSnapList(LIST)?.slice(1)).toEqual([
      { name: 'nextcloud', version: '33.0.5snap1', revision: '51000', tracking: 'latest/stable', notes: ['disabled'] },
      { name: 'nextcloud', version: '33.0.6snap1', revision: '52034', tracking: 'latest/stable', notes: ['held'] },
      { name: 'nextcloud_two', version: '32.0.8snap2', revision: 'x1', tracking: null, notes: ['devmode', 'disabled'] },
    ]);
  });

  test('takes any text without failing, and every revision it gives is a number of snapd', () => {
    const line = fc.array(fc.constantFrom('nextcloud', '33.0.1', '51000', 'x1', '-', 'held', '../..', '\0', '✓', ' '), {
      maxLength: 9,
    });
    const text = fc.oneof(
      fc.string(),
      fc.array(line, { maxLength: 6 }).map((lines) => `${LIST}${lines.map((words) => words.join(' ')).join('\n')}`),
    );
    fc.assert(
      fc.property(text, (given) => {
        for (const { revision } of parseSnapList(given) ?? []) expect(revision).toMatch(/^x?[1-9][0-9]{0,9}$/);
      }),
    );
  });
});

describe('parseSnapServices()', () => {
  test('refuses what is no list', () => {
    expect(parseSnapServices('error: snap "nextcloud" not found\n')).toBeNull();
  });

  test('tells which run', () => {
    expect(parseSnapServices(SERVICES)).toEqual([
      { name: 'apache', enabled: true, active: true },
      { name: 'logrotate', enabled: true, active: false },
      { name: 'php-fpm', enabled: false, active: false },
    ]);
  });

  test('takes any text without failing', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseSnapServices(`${SERVICES}${text}`)));
  });
});

describe('parseSystemHold()', () => {
  test('is null where nothing is held', () => {
    expect(parseSystemHold('timer: 00:00~24:00/4\nlast: today at 03:11 UTC\nnext: today at 10:25 UTC\n')).toBeNull();
    expect(parseSystemHold('timer: 00:00~24:00/4\nlast: n/a\nhold: n/a\nnext: n/a\n')).toBeNull();
  });

  test('gives the words of snapd', () => {
    expect(parseSystemHold('timer: 00:00~24:00/4\nhold: forever\n')).toBe('forever');
    expect(parseSystemHold('last: n/a\nhold: in 14 days, at 03:11 UTC\nnext: n/a\n')).toBe('in 14 days, at 03:11 UTC');
  });
});

describe('withoutWaiting()', () => {
  const strip = (text: string): string => withoutWaiting(Buffer.from(text)).toString();

  test('takes away what occ of the snap waited for', () => {
    expect(strip('Waiting for PHP...\ndone\nWaiting for redis...\ndone\n{"a":1}\n')).toBe('{"a":1}\n');
  });

  test('leaves what only looks like it', () => {
    for (const text of ['{"a":"Waiting for PHP...\\n"}', 'done\n', 'Waiting for\n', 'Waiting for a/b...\ndone\n']) {
      expect(strip(text)).toBe(text);
    }
  });

  test('never takes anything from the end', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        expect(text.endsWith(strip(text)) || Buffer.from(text).toString().endsWith(strip(text))).toBe(true);
      }),
    );
  });
});
