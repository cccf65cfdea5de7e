import { describe, expect, test } from 'vitest';
import {
  networksOfIp,
  networksOfNetstat,
  networksOfProc,
  takenNetworks,
} from '../../../patcher/setup/taken-networks.ts';
import { openLocalTransport } from '../../../patcher/transports/local-transport.ts';

const ADDRESSES = JSON.stringify([
  {},
  { ifname: 'lo', addr_info: [{ family: 'inet', local: '127.0.0.1', prefixlen: 8 }] },
  {
    ifname: 'eth0',
    addr_info: [
      { local: '192.0.2.7', prefixlen: 24 },
      { local: '10.9.0.1', prefixlen: 32 },
    ],
  },
  { ifname: 'ppp0', addr_info: [{ local: '10.64.64.64', address: '10.64.64.1', prefixlen: 32 }] },
  { ifname: 'latchkey', addr_info: [{ local: '10.71.203.1', prefixlen: 30 }] },
]);
const ROUTES = JSON.stringify([
  { dst: 'default', gateway: '192.0.2.1', dev: 'eth0' },
  { dst: '0.0.0.0/1', dev: 'tun0' },
  { dst: '128.0.0.0/1', dev: 'tun0' },
  { dst: '172.17.0.0/16', dev: 'docker0', prefsrc: '172.17.0.1' },
  { dst: '10.71.203.2', dev: 'latchkey' },
  { type: 'blackhole', dst: '10.200.0.0/16' },
  { type: 'local', dst: '192.0.2.7', dev: 'eth0', table: 'local' },
]);
const PROC = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
latchkey\t00CB470A\t00000000\t0001\t0\t0\t0\tFCFFFFFF\t0\t0\t0
`;
const NETSTAT = `Routing tables

Internet:
Destination        Gateway            Flags               Netif Expire
default            192.168.4.1        UGScg                 en0
10                 link#19            UCS                 utun5
10.71.203/30       utun4              USc                 utun4
10.71.203.2        utun4              UH                  utun4
127                127.0.0.1          UCS                   lo0
127.0.0.1          127.0.0.1          UH                    lo0
169.254            link#14            UCS                   en0      !
172.16.5/24        10.8.0.5           UGSc                utun5
192.168.4/22       link#14            UCS                   en0      !
192.168.4.1/32     link#14            UCS                   en0      !
192.168.64         link#21            UC              bridge100      !
224.0.0/4          link#14            UmCS                  en0      !
255.255.255.255/32 link#14            UCS                   en0      !
`;

describe('what a machine says of its networks is read', () => {
  test('as ip prints it, but for the default route in any spelling and the pair’s own interface', () => {
    expect(networksOfIp(ADDRESSES, ROUTES, 'latchkey')).toEqual([
      '10.200.0.0/16',
      '10.64.64.64/32',
      '10.9.0.1/32',
      '127.0.0.0/8',
      '172.17.0.0/16',
      '192.0.2.0/24',
      '192.0.2.7/32',
    ]);
    expect(networksOfIp(ADDRESSES, ROUTES, null)).toEqual(expect.arrayContaining(['10.71.203.0/30', '10.71.203.2/32']));
    expect(networksOfIp('', '', null)).toEqual([]);
    expect(() => networksOfIp('[{"addr_info":1}]', '[]', null)).toThrow();
    expect(() => networksOfIp('[]', 'Usage: ip', null)).toThrow();
  });

  test('as the kernel has it where ip is that of busybox', () => {
    expect(networksOfProc(PROC, 'latchkey')).toEqual(['172.17.0.0/16', '192.0.2.0/24']);
    expect(networksOfProc(PROC, null)).toContain('10.71.203.0/30');
    expect(networksOfProc('', null)).toEqual([]);
  });

  test('as netstat of a Mac prints it, zeros left out', () => {
    const found = ['10.0.0.0/8', '127.0.0.0/8', '127.0.0.1/32', '169.254.0.0/16', '172.16.5.0/24', '192.168.4.0/22'];
    const more = ['192.168.4.1/32', '192.168.64.0/24', '224.0.0.0/4', '255.255.255.255/32'];
    expect(networksOfNetstat(NETSTAT, 'utun4')).toEqual([...found, ...more].sort());
    expect(networksOfNetstat(NETSTAT, null)).toEqual(expect.arrayContaining(['10.71.203.0/30', '10.71.203.2/32']));
  });
});

describe('takenNetworks()', () => {
  const said = (stdout: string, exit = 0) => ({
    label: 'a machine',
    run: async () => ({ exit, stdout: Buffer.from(stdout), stderr: '' }),
  });

  test.each([
    ['nothing', said('', 1)],
    ['half of it', said('==addresses\n[')],
    ['something else', said('==addresses\n[]\n==routes\n{}')],
    ['that there is no such program', said('==proc\n', 1)],
  ])('throws when the machine says %s', async (_, machine) => {
    await expect(takenNetworks(machine)).rejects.toMatchObject({ code: 'networks_unknown' });
  });

  test('asks a Mac, where the interface has another name than the tunnel', async () => {
    expect(await takenNetworks(said(`==name\nutun4\n==netstat\n${NETSTAT}`), 'latchkey')).not.toContain(
      '10.71.203.0/30',
    );
  });

  test.runIf(process.platform === 'linux')('asks this machine', async () => {
    const here = await openLocalTransport({ prompter: null });
    expect(await takenNetworks(here)).toContain('127.0.0.0/8');
    expect(await takenNetworks(here, 'lo')).not.toContain('127.0.0.0/8');
  });
});
