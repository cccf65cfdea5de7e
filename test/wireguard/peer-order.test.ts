import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { overlap, parseNetwork } from '../../wireguard/address/prefix.ts';
import { parseExpiry } from '../../wireguard/hub/expiry.ts';
import { checkOrder, ORDER_FIELDS, type PeerOrder, refuseSharedNetworks } from '../../wireguard/hub/peer-order.ts';
import { markText, parseMark } from '../../wireguard/hub/peer-pages.ts';
import { poolOf } from '../../wireguard/store/hub-interface.ts';
import { testInterface } from './hub-store.ts';

const NOW = Date.UTC(2027, 0, 31, 12);
const hub = testInterface();
const other = testInterface({ name: 'wg1', networks: ['10.0.2.0/24'], addresses: ['10.0.2.1/24'] });
const pool = poolOf(hub);
const check = (change: Partial<PeerOrder> = {}, fields = ORDER_FIELDS) =>
  checkOrder({ name: 'phone', kind: 'device', ...change }, hub, pool, [hub, other], NOW, fields);

describe('an order is refused, naming the field, for', () => {
  test.each<[string, Partial<PeerOrder>, string]>([
    ['an empty name', { name: '' }, 'name'],
    ['a name of 65 characters', { name: 'ü'.repeat(65) }, 'name'],
    ['a name of 64 marks upon one letter and more', { name: `${'e\u0301'.repeat(33)}` }, 'name'],
    ['a name with a line in it', { name: 'a\nb' }, 'name'],
    ['a name that steers a terminal', { name: '\u001b[2Jx' }, 'name'],
    ['a name with the other kind of escape', { name: 'a\u009bm' }, 'name'],
    ['a name with NUL', { name: 'a\u0000b' }, 'name'],
    ['a name that turns what is read', { name: 'a\u202etxt.exe' }, 'name'],
    ['a name with half a character', { name: 'a\ud800b' }, 'name'],
    ['a name with a line of Unicode', { name: 'a\u2028b' }, 'name'],
    ['a name that begins with a blank', { name: ' a' }, 'name'],
    ['a name that ends with a blank nobody sees', { name: 'a\u00a0' }, 'name'],
    ['an owner with a tab', { owner: 'a\tb' }, 'owner'],
    ['an owner of 129', { owner: 'x'.repeat(129) }, 'owner'],
    ['an empty owner', { owner: '' }, 'owner'],
    ['a platform of 129', { platform: 'x'.repeat(129) }, 'platform'],
    ['a keepalive below zero', { keepalive: -1 }, 'keepalive'],
    ['a keepalive of 65536', { keepalive: 65_536 }, 'keepalive'],
    ['a keepalive that is no number', { keepalive: Number.NaN }, 'keepalive'],
    ['a time that is now', { expiresAt: NOW }, 'expires'],
    ['a time a second ago', { expiresAt: NOW - 1000 }, 'expires'],
    ['a time of halves', { expiresAt: NOW + 0.5 }, 'expires'],
    ['the hub’s own key', { publicKey: hub.publicKey }, 'publicKey'],
    ['a key of low order', { publicKey: Buffer.alloc(32).toString('base64') }, 'publicKey'],
    ['an address of another network', { wishedAddress: '10.0.2.9' }, 'address'],
    ['an address with a length', { wishedAddress: '10.0.1.9/24' }, 'address'],
    ['an address that is none', { wishedAddress: 'phone.example' }, 'address'],
    ['the hub’s address', { wishedAddress: 'fd42:4242:1::1' }, 'address'],
    ['the network’s address', { wishedAddress: '10.0.1.0' }, 'address'],
    ['the broadcast address', { wishedAddress: '10.0.1.255' }, 'address'],
    ['all of IPv4', { extraNetworks: ['0.0.0.0/0'] }, 'networks'],
    ['all of IPv6', { extraNetworks: ['::/0'] }, 'networks'],
    ['half of IPv4', { extraNetworks: ['128.0.0.0/1'] }, 'networks'],
    ['a network of /7', { extraNetworks: ['64.0.0.0/7'] }, 'networks'],
    ['the public half of IPv6', { extraNetworks: ['2000::/3'] }, 'networks'],
    ['loopback', { extraNetworks: ['127.0.0.1/32'] }, 'networks'],
    ['the loopback of IPv6', { extraNetworks: ['::1/128'] }, 'networks'],
    ['link-local', { extraNetworks: ['169.254.0.0/24'] }, 'networks'],
    ['multicast', { extraNetworks: ['239.0.0.0/8'] }, 'networks'],
    ['host bits', { extraNetworks: ['192.168.7.1/24'] }, 'networks'],
    ['the hub’s network', { extraNetworks: ['10.0.1.0/24'] }, 'networks'],
    ['a part of the hub’s network', { extraNetworks: ['10.0.1.128/25'] }, 'networks'],
    ['a network around the hub’s', { extraNetworks: ['10.0.0.0/16'] }, 'networks'],
    ['the network of another interface', { extraNetworks: ['10.0.2.7/32'] }, 'networks'],
    ['one network twice', { extraNetworks: ['192.168.7.0/24', '192.168.7.0/24'] }, 'networks'],
    ['a network within another', { extraNetworks: ['192.168.7.0/24', '192.168.0.0/16'] }, 'networks'],
    ['a network around another', { extraNetworks: ['192.168.0.0/16', '192.168.7.0/24'] }, 'networks'],
    ['65 networks', { extraNetworks: Array.from({ length: 65 }, (_, at) => `172.16.${at}.0/24`) }, 'networks'],
    ['notes of 4097 bytes', { metadata: { a: 'x'.repeat(4097 - 8) } }, 'metadata'],
    ['notes of fewer characters and more bytes', { metadata: { a: 'ü'.repeat(2100) } }, 'metadata'],
  ])('%s', (_, wrong, field) => {
    expect(() => check(wrong)).toThrow(
      expect.objectContaining({ field, exit: 2, message: expect.stringContaining(`"${field}"`) }),
    );
  });

  test('the reason is told in the words of its door, and with what overlaps', () => {
    const fields = { ...ORDER_FIELDS, extraNetworks: '--networks', wishedAddress: 'customIP', name: 'device_name' };
    expect(() => check({ name: '' }, fields)).toThrow('"device_name" must be');
    expect(() => check({ wishedAddress: '10.9.9.9' }, fields)).toThrow('"customIP" must be');
    expect(() => check({ extraNetworks: ['10.0.2.0/25'] }, fields)).toThrow(
      '"--networks" has 10.0.2.0/25, which overlaps with 10.0.2.0/24 of the interface wg1',
    );
  });
});

test('an order that holds comes back whole, networks in their one spelling and what was left out filled in', () => {
  expect(check()).toEqual({
    ...{
      name: 'phone',
      owner: null,
      kind: 'device',
      platform: null,
      osFamily: null,
      publicKey: null,
      isPreshared: false,
    },
    ...{ keepalive: 25, wishedAddress: null, extraNetworks: [], expiresAt: null, metadata: {} },
  });
  const long = {
    ...{ name: '☎'.repeat(64), owner: 'x'.repeat(128), keepalive: 0, expiresAt: NOW + 1, presharedKey: true },
    extraNetworks: ['FD07:0::/64', '192.168.7.0/24', '10.0.0.0/24'],
    wishedAddress: '10.0.1.254',
    metadata: { a: 'x'.repeat(4096 - 8) },
  };
  expect(check(long)).toMatchObject({
    ...{ name: long.name, owner: long.owner, keepalive: 0, expiresAt: NOW + 1, isPreshared: true },
    extraNetworks: ['fd07::/64', '192.168.7.0/24', '10.0.0.0/24'],
    wishedAddress: '10.0.1.254',
  });
});

test('a name that is taken never has what a terminal would obey', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 70 }), (name) => {
      try {
        check({ name });
      } catch {
        return;
      }
      expect(name).not.toMatch(/[\p{Cc}\u2028-\u202e\u2066-\u2069]/u);
      expect([...name].length).toBeLessThanOrEqual(64);
      expect(name.isWellFormed()).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

test('two peers share a network exactly where an address would be of both', () => {
  const network = fc
    .tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 255 }), fc.integer({ min: 12, max: 24 }))
    .map(([a, b, bits]) => {
      const value = (((172 << 24) | (a << 16) | (b << 8)) >>> 0) & (~0 << (32 - bits));
      return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.0/${bits}`;
    });
  fc.assert(
    fc.property(network, network, (mine, theirs) => {
      const isShared = overlap(parseNetwork(mine, ''), parseNetwork(theirs, ''));
      const work = () => refuseSharedNetworks([mine], [{ name: 'office', extraNetworks: [theirs] }], 'networks');
      if (isShared) expect(work).toThrow(`${theirs} of the peer office`);
      else expect(work).not.toThrow();
    }),
  );
});

describe('an expiry', () => {
  test.each([
    ...['', '30', 'd', '0d', '01d', '1.5d', '-1d', '30 d', '30D', '100000d', 'tomorrow', '2027-13-01T00:00:00Z'],
    ...['2027-02-29T12:00:00Z', '2027-02-01', '2027-02-01T12:00:00', '2027-02-01 12:00:00Z', '2027-02-01T24:00:00Z'],
    ...['2027-02-01T12:00:60Z', '2027-02-01T12:00Z', '99999y', '2026-01-31T12:00:00Z', '2027-01-31T12:00:00Z'],
  ])('of %j is refused', (text) => {
    expect(() => parseExpiry(text, NOW, '--expires')).toThrow(
      expect.objectContaining({ code: 'invalid_request', field: '--expires', exit: 2 }),
    );
  });

  test.each([
    ['90m', NOW + 90 * 60_000],
    ['12h', NOW + 12 * 3_600_000],
    ['30d', NOW + 30 * 86_400_000],
    ['2w', NOW + 14 * 86_400_000],
    ['1y', NOW + 365 * 86_400_000],
    ['2027-01-31T12:00:01Z', NOW + 1000],
    ['2027-01-31T12:00:00.001Z', NOW + 1],
    ['2027-01-31T14:00:01+02:00', NOW + 1000],
    ['2028-02-29T00:00:00Z', Date.UTC(2028, 1, 29)],
  ])('of %s is that moment', (text, at) => {
    expect(parseExpiry(text, NOW, 'expires')).toBe(at);
  });
});

describe('a mark of a page', () => {
  test('comes back as it was, whatever the interface is called', () => {
    const name = fc.stringMatching(/^[a-zA-Z0-9_=+.-]{1,15}$/);
    fc.assert(
      fc.property(name, fc.nat(), fc.stringMatching(/^[0-9a-f]{16,24}$/), (on, createdAt, id) => {
        expect(parseMark(markText({ interface: on, createdAt, id }), 'after')).toEqual({
          interface: on,
          createdAt,
          id,
        });
      }),
    );
  });

  test('is refused for any text that no page had', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.base64String(),
          fc.json().map((text) => Buffer.from(text).toString('base64url')),
        ),
        (text) => {
          try {
            expect(markText(parseMark(text, 'after'))).toBe(text);
          } catch (error) {
            expect(error).toMatchObject({ code: 'invalid_request', field: 'after', status: 400 });
          }
        },
      ),
    );
  });
});
