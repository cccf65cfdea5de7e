import { describe, expect, it } from 'vitest';
import { leadsNowhereElse, publicUrlOf } from '../../wireguard/front/public-url.ts';

const own = { source: 'own' as const };

describe('publicUrlOf()', () => {
  it.each([
    ['what the config says', 'https://hub.example/latchkey', '127.0.0.1', null, 'https://hub.example/latchkey'],
    ['the address it listens on', null, '10.0.1.1', null, 'http://10.0.1.1:8090'],
    ['that with TLS', null, '192.0.2.7', own, 'https://192.0.2.7:8090'],
    ['one of IPv6', null, '2001:db8::7', own, 'https://[2001:db8::7]:8090'],
    ['the host of the endpoint where it listens everywhere', null, '0.0.0.0', own, 'https://vpn.example:8090'],
    ['that for IPv6', null, '::', own, 'https://vpn.example:8090'],
  ])('is %s', (_, publicUrl, host, tls, url) => {
    expect(publicUrlOf({ publicUrl, listen: { host, port: 8090 }, tls: tls as never }, 8090, 'vpn.example:51820')).toBe(
      url,
    );
  });
  it('has the brackets of an endpoint of IPv6', () => {
    const config = { publicUrl: null, listen: { host: '::', port: 443 }, tls: null };
    expect(publicUrlOf(config, 443, '[2001:db8::9]:51820')).toBe('http://[2001:db8::9]:443');
  });
});

describe('leadsNowhereElse()', () => {
  it.each(['http://127.0.0.1:8090', 'https://localhost', 'http://127.1.2.3', 'http://[::1]:8090'])(
    'is true of %s',
    (url) => {
      expect(leadsNowhereElse(url)).toBe(true);
    },
  );
  it.each(['http://10.0.1.1:8090', 'https://hub.example', 'https://localhost.example', 'http://[2001:db8::1]'])(
    'is false of %s',
    (url) => {
      expect(leadsNowhereElse(url)).toBe(false);
    },
  );
});
