import { describe, expect, test } from 'vitest';
import { systemRandom } from '../../platform/clock.ts';
import { CLIENT_PROGRAMS, clientProgram, whyNot } from '../../wireguard/obfuscation/clients.ts';
import { drawObfuscation, LEVELS } from '../../wireguard/obfuscation/levels.ts';
import { assertFit, surestProgram } from '../../wireguard/peers/client-config.ts';
import { configFileName } from '../../wireguard/peers/file-name.ts';
import { markText, pageOf, readPageWish } from '../../wireguard/peers/page-mark.ts';

describe('configFileName()', () => {
  test.each([
    ['phone', 'phone.conf'],
    ['Anna’s iPhone 15 Pro', 'Anna-s-iPhone-1.conf'],
    ['Zoë Müller', 'Zoe-Muller.conf'],
    ['"quoted"', 'quoted.conf'],
    ['a/../../etc/passwd', 'a-..-..-etc-pas.conf'],
    ['../x', 'x.conf'],
    ['-rf', 'rf.conf'],
    ['.hidden', 'hidden.conf'],
    ['fourteen chars. more', 'fourteen-chars.conf'],
    ['電話', 'device.conf'],
    ['   ', 'device.conf'],
    ['CON', 'wg-CON.conf'],
    ['com1.office', 'wg-com1.office.conf'],
    ['nul', 'wg-nul.conf'],
  ])('makes of %j a name that every app takes: %s', (deviceName, file) => {
    expect(configFileName(deviceName)).toBe(file);
    expect(file).toMatch(/^[a-zA-Z0-9_=+][a-zA-Z0-9_=+.-]{0,14}\.conf$/);
  });
});

describe('the program of a device', () => {
  test('is plain WireGuard where nothing is obfuscated, and one that takes everything elsewhere', () => {
    expect(surestProgram({}).name).toBe('wireguard');
    for (const level of LEVELS) {
      const obfuscation = drawObfuscation(level, systemRandom);
      expect(whyNot(surestProgram(obfuscation), obfuscation)).toBeNull();
    }
  });

  test.each([
    ['wireguard', 'low'],
    ['wireguard', 'extreme'],
    ['keenetic', 'high'],
    ['amneziawg-windows', 'extreme'],
    ['amneziavpn', 'extreme'],
  ] as const)('%s is refused for the level %s', (name, level) => {
    expect(() => assertFit(clientProgram(name, 'client'), drawObfuscation(level, systemRandom))).toThrow(
      expect.objectContaining({ code: 'client_unfit', status: 409 }),
    );
  });

  test('every program takes what is plain', () => {
    for (const program of CLIENT_PROGRAMS) expect(() => assertFit(program, {})).not.toThrow();
  });
});

describe('a page of a list', () => {
  const peers = [1, 2, 3].map((at) => ({ createdAt: 1_700_000_000_000 + at, id: `${at}f`.repeat(12) }));

  test('ends with the mark of its last, where there are more', () => {
    const { page, next } = pageOf(peers, 2);
    expect(page).toEqual(peers.slice(0, 2));
    expect(readPageWish({ after: next ?? '' }, 10).after).toEqual(peers[1]);
    expect(pageOf(peers, 3)).toEqual({ page: peers, next: null });
    expect(pageOf([], 3)).toEqual({ page: [], next: null });
  });

  test('is as long as it is asked for, or as usual', () => {
    expect(readPageWish({}, 50)).toEqual({ limit: 50, after: null });
    expect(readPageWish({ limit: '1000' }, 50).limit).toBe(1000);
  });

  test.each([
    ['limit', '0'],
    ['limit', '1001'],
    ['limit', '1e2'],
    ['limit', ''],
    ['after', ''],
    ['after', '17'],
    ['after', '-1-ab'],
    ['after', `17-${'a'.repeat(65)}`],
    ['after', "17-a'b"],
    ['after', `${markText({ createdAt: 17, id: 'ab' })} `],
  ])('refuses %s=%j', (name, text) => {
    expect(() => readPageWish({ [name]: text }, 10)).toThrow(
      expect.objectContaining({ code: 'invalid_request', status: 400, field: name }),
    );
  });
});
