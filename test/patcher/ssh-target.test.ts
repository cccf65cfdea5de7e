import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseSshTarget } from '../../patcher/transports/ssh-target.ts';

test.each([
  'host',
  '@host',
  'user@',
  'user@host:',
  'user@host:0',
  'user@host:65536',
  'user@host:022',
  'user@host:22x',
  'user@-oProxyCommand=x',
  'user@2001:db8::1',
  'user@[host]',
  'user@[::1',
  'user@[::1]22',
  'user@[fe80::1%eth0]',
  '-l@host',
  'a b@host',
  'user@ho st',
  'user@host\n',
  '',
  'user@.host',
])('%j is refused', (text) => {
  expect(() => parseSshTarget(text)).toThrow(expect.objectContaining({ code: 'invalid_ssh_target', exit: 2 }));
});

test('user, host and port are told apart', () => {
  expect(parseSshTarget('root@Cloud.Example.org')).toEqual({ user: 'root', host: 'cloud.example.org', port: 22 });
  expect(parseSshTarget('admin@10.0.0.1:2222')).toEqual({ user: 'admin', host: '10.0.0.1', port: 2222 });
  expect(parseSshTarget('a@[2001:db8::1]:2')).toEqual({ user: 'a', host: '2001:db8::1', port: 2 });
  expect(parseSshTarget('me@ad.example@host')).toEqual({ user: 'me@ad.example', host: 'host', port: 22 });
});

test('any text is either parsed or refused with the same code', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        expect(parseSshTarget(text).port).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toMatchObject({ code: 'invalid_ssh_target' });
      }
    }),
  );
});
