import { expect, test } from 'vitest';
import { limitedSource } from '../../wireguard/access/limited-source.ts';

const limited = limitedSource(() => ['10.0.1.1/24', 'fd42:4242:1::1/64']);

test.each([
  ['an address of IPv4', '192.0.2.7', '192.0.2.7'],
  ['one of IPv4 on a socket of IPv6', '::ffff:192.0.2.7', '192.0.2.7'],
  ['one of IPv6', '2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['another one of that network', '2001:DB8:1:2::1', '2001:db8:1:2::/64'],
  ['one of the next network', '2001:db8:1:3::1', '2001:db8:1:3::/64'],
  ['one of a link, with a zone', 'fe80::1:2%eth0', 'fe80::/64'],
  ['loopback', '::1', '::/64'],
  ['a peer of the hub', 'fd42:4242:1::7', 'fd42:4242:1::7'],
  ['a neighbour of the hub’s network', 'fd42:4242:2::7', 'fd42:4242:2::/64'],
  ['what is no address', 'a:b', 'a:b'],
  ['nothing', '', ''],
])('%s: %s counts as %s', (_, source, expected) => {
  expect(limited(source)).toBe(expected);
});
