import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { createLog } from '../../platform/log.ts';
import type { Store } from '../../platform/store.ts';
import { tokenHash } from '../../wireguard/access/api-tokens.ts';
import { bearerOf } from '../../wireguard/access/bearer.ts';
import { LastUse } from '../../wireguard/access/last-use.ts';
import type { HubDatabase } from '../../wireguard/store/schema.ts';

test.each([
  ['nothing', ''],
  ['another scheme', 'Basic YTpi'],
  ['two spaces', 'Bearer  lkt_x'],
  ['something behind it', 'Bearer lkt_x y'],
  ['a line break', 'Bearer lkt_x\n'],
  ['a letter that no token has', 'Bearer lkt_é'],
  ['two parts of a JWT', 'Bearer a.b'],
  ['a JWT without a signature', 'Bearer a.b.'],
  ['a JWT of five parts, which is sealed', 'Bearer a.b.c.d.e'],
  ['more than any token is long', `Bearer a.${'b'.repeat(4_096)}.c`],
])('bearerOf() takes %s for nothing of ours', (_, header) => {
  expect(bearerOf(header)).toEqual({ kind: 'foreign', text: '' });
});

test('bearerOf() tells tokens, sessions and JWTs by their form', () => {
  expect(bearerOf('Bearer lkt_x')).toEqual({ kind: 'token', text: 'lkt_x' });
  expect(bearerOf('bearer lks_x-y')).toEqual({ kind: 'session', text: 'x-y' });
  expect(bearerOf('Bearer a.b-c.d_e')).toEqual({ kind: 'jwt', text: 'a.b-c.d_e' });
});

test.each([
  ['without its prefix', 'A'.repeat(43)],
  ['with another prefix', `lks_${'A'.repeat(43)}`],
  ['too short', `lkt_${'A'.repeat(42)}`],
  ['too long', `lkt_${'A'.repeat(44)}`],
  ['with bits left over at its end', `lkt_${'A'.repeat(42)}B`],
  ['in plain base64', `lkt_${'A'.repeat(41)}+8=`],
])('tokenHash() makes nothing of a token %s', (_, text) => {
  expect(tokenHash(text)).toBeNull();
});

test('a use that cannot be noted hurts nobody, is logged, and tried again a minute later', async () => {
  let logged = '';
  const destination = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      logged += chunk.toString();
      done();
    },
  });
  let tries = 0;
  const broken = {
    transaction: async () => {
      tries += 1;
      throw new Error('the disk is full');
    },
  } as unknown as Store<HubDatabase>;
  const lastUse = new LastUse(broken, createLog({ level: 'error', destination }));
  const token = { id: 'a', usedAt: null };
  for (const at of [0, 1, 59_999, 60_000]) lastUse.note(token, at);
  await lastUse.settled();
  expect(tries).toBe(2);
  expect(logged).toContain('last use of a token was not noted');
});
