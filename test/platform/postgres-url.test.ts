import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePostgresUrl, showPostgres } from '../../platform/postgres-url.ts';

const parse = (text: string) => {
  const { password, ...rest } = parsePostgresUrl(text, '--database-url-file');
  return { ...rest, password: password() };
};

describe('parsePostgresUrl()', () => {
  it.each([
    ['another scheme', 'mysql://u:canary@localhost/db'],
    ['no database', 'postgresql://u:canary@localhost/'],
    ['no user', 'postgresql://localhost/db'],
    ['no host', 'postgresql://u:canary@/db'],
    ['a raw @ in the password', 'postgresql://u:can@ary@localhost/db'],
    ['a raw : in the password', 'postgresql://u:can:ary@localhost/db'],
    ['a % that encodes nothing', 'postgresql://u:canary%zz@localhost/db'],
    ['a line break', 'postgresql://u:canary%0a@localhost/db'],
    ['a port that is none', 'postgresql://u:canary@localhost:0/db'],
    ['a port too large', 'postgresql://u:canary@localhost:65536/db'],
    ['a parameter nobody knows', 'postgresql://u:canary@localhost/db?options=-c%20fsync%3Doff'],
    ['a parameter twice', 'postgresql://u:canary@localhost/db?sslmode=disable&sslmode=verify-full'],
    ['a fragment', 'postgresql://u:canary@localhost/db#canary'],
    ['TLS that does not verify', 'postgresql://u:canary@db.example/db?sslmode=require'],
    ['no TLS to another machine', 'postgresql://u:canary@10.8.0.9/db?sslmode=disable'],
    ['an address that only looks like loopback', 'postgresql://u:canary@127.0.0.1.example/db?sslmode=disable'],
    ['TLS on a socket', 'postgresql://u:canary@/db?host=/run/postgresql&sslmode=verify-full'],
    ['a client certificate without its key', 'postgresql://u:canary@db.example/db?sslcert=/c.pem'],
  ])('refuses %s, and shows no part of it', (_, text) => {
    const attempt = (): unknown => parse(text);
    expect(attempt).toThrowError(expect.objectContaining({ code: 'invalid_request', exit: 2 }));
    try {
      attempt();
    } catch (error) {
      expect(`${(error as Error).message}${(error as Error).stack}`).not.toContain('canary');
      expect((error as Error).cause).toBeUndefined();
    }
  });

  it('reads all there is', () => {
    const text = 'postgres://me%40home:p%3A%2F%40@[fd00::1]:6543/keys?sslrootcert=/ca.pem&sslcert=/c.pem&sslkey=/k.pem';
    expect(parse(text)).toEqual({
      host: 'fd00::1',
      port: 6543,
      database: 'keys',
      user: 'me@home',
      password: 'p:/@',
      tls: { authorities: '/ca.pem', client: { certificate: '/c.pem', key: '/k.pem' } },
    });
  });

  it('asks another machine to prove its name, and this one for nothing', () => {
    expect(parse('postgresql://u@db.example/d').tls).toEqual({ authorities: null, client: null });
    for (const host of ['localhost', '127.0.0.1', '127.8.8.8', '[::1]'])
      expect(parse(`postgresql://u@${host}/d`).tls).toBeNull();
    expect(parse('postgresql:///d?host=/run/postgresql&user=u')).toMatchObject({ host: '/run/postgresql', tls: null });
  });

  it('throws nothing but its own error, whatever it is given', () => {
    const pieces = fc.constantFrom(
      'postgresql://',
      'u',
      ':',
      '@',
      '/',
      '?',
      '#',
      '%',
      '%41',
      '[',
      ']',
      'host=',
      '&',
      '5',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 14 }), (parts) => {
        try {
          expect(parse(parts.join('')).user).not.toBe('');
        } catch (error) {
          expect(error).toMatchObject({ code: 'invalid_request' });
        }
      }),
    );
  });
});

describe('showPostgres()', () => {
  it('names the place and nobody’s password', () => {
    const show = (text: string): string => showPostgres(parsePostgresUrl(text, 'url'));
    expect(show('postgresql://u:secret@[::1]:1/d')).toBe('d at [::1]:1');
    expect(show('postgresql://u:secret@/d?host=/run/pg')).toBe('d at /run/pg, port 5432');
  });
});
