import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { authorityOf, parseListenAddress } from '../../platform/listening/listen-address.ts';

const parse = (text: string) => parseListenAddress(text, '--listen');
/** An IPv6 address that ends as an IPv4 one is refused: nothing is to be listened on under that spelling. */
const plainV6 = fc.ipV6().filter((host) => !host.includes('.'));

describe('parseListenAddress()', () => {
  it.each([
    '',
    '127.0.0.1',
    ':8443',
    '127.0.0.1:',
    '127.0.0.1:0',
    '127.0.0.1:65536',
    '127.0.0.1:08443',
    '127.0.0.1:8443x',
    ' 127.0.0.1:8443',
    '127.0.0.1:8443\n',
    '127.1:8443',
    '0x7f.0.0.1:8443',
    'keys.example:8443',
    '::1:8443',
    '[127.0.0.1]:8443',
    '[::1]',
    '[::1%lo]:8443',
    'https://127.0.0.1:8443',
  ])('refuses %j', (text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'invalid_request', exit: 2, field: '--listen' }));
  });
  it('takes addresses and the one name that is always loopback', () => {
    expect(parse('10.8.0.1:8443')).toEqual({ host: '10.8.0.1', port: 8443 });
    expect(parse('[fd42::1]:1')).toEqual({ host: 'fd42::1', port: 1 });
    expect(parse('localhost:8443')).toEqual({ host: '127.0.0.1', port: 8443 });
  });
  it('reads back what authorityOf() wrote', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), plainV6), fc.integer({ min: 1, max: 65_535 }), (host, port) => {
        expect(parse(authorityOf(host, port))).toEqual({ host, port });
      }),
    );
  });
});
