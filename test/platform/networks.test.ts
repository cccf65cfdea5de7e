import { describe, expect, it } from 'vitest';
import { networksFor, parseNetworks } from '../../platform/listening/networks.ts';

const parse = (...texts: string[]) => parseNetworks(texts, '--from');

describe('parseNetworks()', () => {
  it.each([
    '',
    '10.8.0.0/33',
    '10.8.0.0/-1',
    '10.8.0.0/024',
    '10.8.0/24',
    '10.8.0.0/24/1',
    'fd42::/129',
    'lan',
    '10.8.0.1-5',
    '::1%lo',
  ])('refuses %j', (text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'invalid_request', exit: 2, field: '--from' }));
  });
  it('refuses host bits and names the network that was perhaps meant', () => {
    expect(() => parse('10.8.0.5/24')).toThrow('10.8.0.0/24 is the network of 10.8.0.5/24');
  });
  it('takes networks, single addresses and lists', () => {
    expect(parse('10.8.0.0/24', '10.9.0.7')).toEqual(['10.8.0.0/24', '10.9.0.7/32']);
    expect(parse('10.8.0.0/24,fd42::/64')).toEqual(['10.8.0.0/24', 'fd42::/64']);
    expect(parse('fd42:0:0::1')).toEqual(['fd42::1/128']);
    expect(parse('0.0.0.0/0')).toEqual(['0.0.0.0/0']);
  });
});

describe('networksFor()', () => {
  it('demands --from where the listen address tells nothing', () => {
    expect(() => networksFor(undefined, '192.0.2.77')).toThrow('"--from" must be given');
  });
  it('stays on loopback for a server on loopback', () => {
    expect(networksFor(undefined, '127.0.0.1')).toEqual(['127.0.0.0/8', '::1/128']);
  });
  it('does as it is told', () => {
    expect(networksFor(['10.8.0.2'], '127.0.0.1')).toEqual(['10.8.0.2/32']);
  });
});
