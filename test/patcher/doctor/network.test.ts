import { describe, expect, test } from 'vitest';
import { type ClockEvidence, clockFindings } from '../../../patcher/doctor/clock.ts';
import { type RouteSeen, tunnelFindings } from '../../../patcher/doctor/tunnel.ts';

const route: RouteSeen = {
  host: '10.86.0.1',
  address: '10.86.0.1',
  device: 'wg0',
  isWireGuard: true,
  hasTool: true,
  handshakeAge: 60,
};
const tunnel = (changes: Partial<RouteSeen>): string => {
  const [finding] = tunnelFindings([{ ...route, ...changes }], true);
  return `${finding?.level} ${finding?.code}`;
};

describe('the way to the key server', () => {
  test.each([
    [{}, 'ok tunnel'],
    [{ handshakeAge: 180 }, 'ok tunnel'],
    [{ handshakeAge: 181 }, 'warn tunnel_quiet'],
    [{ handshakeAge: 'never' }, 'bad tunnel_never_up'],
    [{ handshakeAge: null }, 'info tunnel_unasked'],
    [{ isWireGuard: false, device: 'eth0' }, 'warn no_tunnel'],
    [{ device: null }, 'bad no_route'],
    [{ address: null }, 'bad key_server_name'],
    [{ address: '127.0.0.1' }, 'warn key_server_here'],
    [{ address: '::1' }, 'warn key_server_here'],
  ] satisfies [Partial<RouteSeen>, string][])('%j is %s', (changes, expected) => {
    expect(tunnel(changes)).toBe(expected);
  });
  test('is not claimed to be anything where none is known', () => {
    expect(tunnelFindings([], false)).toMatchObject([{ code: 'no_key_server', level: 'info' }]);
    expect(tunnelFindings([], null)).toMatchObject([{ code: 'tunnel_unknown', level: 'unknown' }]);
  });
});

describe('the clock', () => {
  const clock = (changes: Partial<ClockEvidence>): string => {
    const [finding] = clockFindings({
      there: 100_000,
      before: 100_200,
      after: 100_300,
      synchronised: null,
      ...changes,
    });
    return `${finding?.level} ${finding?.code}`;
  };
  test.each([
    [{}, 'ok clock'],
    // the answer was a cut second, and took its time: within that nothing is known
    [{ there: 105_300 }, 'ok clock'],
    [{ there: 106_000 }, 'warn clock_off'],
    [{ there: 94_200 }, 'ok clock'],
    [{ there: 94_000 }, 'warn clock_off'],
    [{ there: 160_300 }, 'warn clock_off'],
    [{ there: 161_000 }, 'bad clock_off'],
    [{ there: 39_000 }, 'bad clock_off'],
    [{ before: 100_200, after: 130_000, there: 130_000 }, 'ok clock'],
    [{ there: null }, 'unknown clock_unknown'],
    [{ synchronised: false }, 'info clock_alone'],
    [{ synchronised: true }, 'ok clock'],
  ])('%j is %s', (changes, expected) => {
    expect(clock(changes)).toBe(expected);
  });
  test('says which way it is off', () => {
    expect(clockFindings({ there: 200_000, before: 100_000, after: 100_000, synchronised: null })[0]?.what).toContain(
      'ahead of',
    );
    expect(clockFindings({ there: 0, before: 100_000, after: 100_000, synchronised: null })[0]?.what).toContain(
      'behind',
    );
  });
});
