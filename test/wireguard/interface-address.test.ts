import { describe, expect, it } from 'vitest';
import {
  isWireGuardInterface,
  type NetworkView,
  placeOf,
  thisMachine,
  waitForPrivateAddress,
} from '../../wireguard/interface-address.ts';

interface Machine {
  readonly platform?: string;
  readonly addresses?: readonly (readonly [name: string, address: string])[];
  readonly files?: Readonly<Record<string, string>>;
  readonly sockets?: readonly string[];
  /** Files that root has written and nobody else may read, and sockets, by time. */
  readonly times?: Readonly<Record<string, number>>;
}

function machine({ platform = 'linux', addresses = [], files = {}, sockets = [], times = {} }: Machine): NetworkView {
  return {
    platform,
    addresses: () => addresses.map(([name, address]) => ({ name, address })),
    readText: (path) => files[path] ?? null,
    list: (path) =>
      [...Object.keys(files), ...Object.keys(times)]
        .filter((file) => file.startsWith(`${path}/`))
        .map((file) => file.slice(path.length + 1)),
    isRootSocket: (path) => sockets.includes(path),
    rootWrote: (path) => times[path] ?? null,
  };
}

const kernel = { '/sys/class/net/wg0/uevent': 'DEVTYPE=wireguard\nINTERFACE=wg0\nIFINDEX=5\n' };

describe('placeOf()', () => {
  it.each(['0.0.0.0', '::', '0:0:0:0:0:0:0:0', '::ffff:127.0.0.1', '::ffff:10.8.0.1'])(
    '%s is a wildcard',
    (address) => {
      expect(placeOf(address, machine({ addresses: [['wg0', '10.8.0.1']], files: kernel }))).toEqual({
        kind: 'wildcard',
      });
    },
  );
  it.each(['127.0.0.1', '127.255.255.254', '::1', '0:0:0:0:0:0:0:1'])('%s is loopback', (address) => {
    expect(placeOf(address, machine({}))).toEqual({ kind: 'loopback' });
  });
  it.each(['128.0.0.1', '126.255.255.255', '::2', '10.8.0.1'])('%s is not there', (address) => {
    expect(placeOf(address, machine({}))).toEqual({ kind: 'absent' });
  });
  it('names the interface of an address that is on no tunnel', () => {
    const view = machine({ addresses: [['eth0', '192.168.1.2']], files: kernel });
    expect(placeOf('192.168.1.2', view)).toEqual({ kind: 'other', interface: 'eth0' });
  });
  it('does not trust a public address because it was put on lo', () => {
    expect(placeOf('192.168.1.2', machine({ addresses: [['lo', '192.168.1.2']] }))).toEqual({
      kind: 'other',
      interface: 'lo',
    });
  });
  it('does not trust an address that is on a tunnel and elsewhere too', () => {
    const view = machine({
      addresses: [
        ['wg0', '10.8.0.1'],
        ['eth0', '10.8.0.1'],
      ],
      files: kernel,
    });
    expect(placeOf('10.8.0.1', view)).toEqual({ kind: 'other', interface: 'eth0' });
  });
  it('finds an address on a tunnel, however it is spelled', () => {
    const view = machine({ addresses: [['wg0', 'fd42::1']], files: kernel });
    expect(placeOf('fd42:0:0::1', view)).toEqual({ kind: 'wireguard', interface: 'wg0' });
  });
  it.each(['wg.example', '', '10.8.0.1/24', '10.8.1'])('refuses to judge %j', (text) => {
    expect(() => placeOf(text, machine({}))).toThrow(TypeError);
  });
});

describe('isWireGuardInterface() on Linux', () => {
  it.each([
    ['an ethernet card', { files: { '/sys/class/net/wg0/uevent': 'INTERFACE=wg0\nIFINDEX=5\n' } }],
    ['another device type', { files: { '/sys/class/net/wg0/uevent': 'DEVTYPE=wireguardish\n' } }],
    ['a name that only contains the words', { files: { '/sys/class/net/wg0/uevent': 'X=DEVTYPE=wireguard\n' } }],
    ['a socket without a tun device', { sockets: ['/var/run/wireguard/wg0.sock'] }],
    ['a tun device without a socket', { files: { '/sys/class/net/wg0/tun_flags': '0x1001\n' } }],
    [
      'the socket of another interface',
      { files: { '/sys/class/net/wg0/tun_flags': '0x1001\n' }, sockets: ['/var/run/wireguard/wg1.sock'] },
    ],
  ])('refuses %s', (_, view) => {
    expect(isWireGuardInterface('wg0', machine(view))).toBe(false);
  });
  it.each(['..', '.', 'a/b', '../wg0', '', 'sixteen-letters-'])('refuses the name %j', (name) => {
    const view: NetworkView = { ...machine({}), readText: () => 'DEVTYPE=wireguard\n', isRootSocket: () => true };
    expect(isWireGuardInterface(name, view)).toBe(false);
  });
  it.each(['wireguard', 'amneziawg'])('knows a kernel device of type %s', (type) => {
    const files = { '/sys/class/net/wg0/uevent': `DEVTYPE=${type}\nINTERFACE=wg0\n` };
    expect(isWireGuardInterface('wg0', machine({ files }))).toBe(true);
  });
  it.each(['wireguard', 'amneziawg'])('knows a user-space tunnel by its socket in /var/run/%s', (folder) => {
    const files = { '/sys/class/net/wg0/uevent': 'INTERFACE=wg0\n', '/sys/class/net/wg0/tun_flags': '0x1001\n' };
    expect(isWireGuardInterface('wg0', machine({ files, sockets: [`/var/run/${folder}/wg0.sock`] }))).toBe(true);
  });
});

describe('isWireGuardInterface() on macOS', () => {
  const mac = (rest: Machine) => machine({ platform: 'darwin', ...rest });
  const sockets = ['/var/run/wireguard/utun4.sock'];
  it.each([
    ['a utun of something else', {}],
    ['a socket that no name file claims', { sockets }],
    ['a name file without a socket', { files: { '/var/run/wireguard/wg0.name': 'utun4\n' } }],
    ['the name file of another utun', { files: { '/var/run/wireguard/wg0.name': 'utun5\n' }, sockets }],
  ])('refuses %s', (_, view) => {
    expect(isWireGuardInterface('utun4', mac(view))).toBe(false);
  });
  it('refuses an interface that is no utun', () => {
    const view = mac({ files: { '/var/run/wireguard/wg0.name': 'en0\n' }, sockets: ['/var/run/wireguard/en0.sock'] });
    expect(isWireGuardInterface('en0', view)).toBe(false);
  });
  it('knows the utun that a name file and a socket name', () => {
    const view = mac({ files: { '/var/run/wireguard/wg0.name': 'utun4\n' }, sockets });
    expect(isWireGuardInterface('utun4', view)).toBe(true);
  });
  const made = (name: number, socket: number, rest: Machine = {}) =>
    mac({ sockets, times: { '/var/run/wireguard/wg0.name': name, '/var/run/wireguard/utun4.sock': socket }, ...rest });
  it.each([
    ['older', 7_999, 10_000],
    ['newer', 12_000, 10_000],
  ])('refuses a utun whose name file, which may not be read, is %s than the socket', (_, name, socket) => {
    expect(isWireGuardInterface('utun4', made(name, socket))).toBe(false);
  });
  it('refuses a name file that may be read and names another, however well the times fit', () => {
    const view = made(10_000, 10_000, { files: { '/var/run/wireguard/wg0.name': 'utun5\n' } });
    expect(isWireGuardInterface('utun4', view)).toBe(false);
  });
  it('refuses a socket that is not root’s, although the times fit', () => {
    expect(isWireGuardInterface('utun4', made(10_000, 10_000, { sockets: [] }))).toBe(false);
  });
  it.each([8_001, 10_000, 11_999])(
    'knows a utun whose name file only root may read: both were made together (%i)',
    (name) => {
      expect(isWireGuardInterface('utun4', made(name, 10_000))).toBe(true);
    },
  );
});

it('thisMachine tells when root has written a file or a socket, and of nothing else', () => {
  const { rootWrote } = thisMachine;
  expect(rootWrote('/etc/passwd')).toEqual(expect.any(Number));
  for (const path of ['/etc', '/etc/nothing-of-this-name', '/proc/self/exe']) expect(rootWrote(path)).toBeNull();
});

it('isWireGuardInterface() refuses every interface of a system it does not know', () => {
  expect(isWireGuardInterface('wg0', machine({ platform: 'freebsd', files: kernel }))).toBe(false);
});

describe('waitForPrivateAddress()', () => {
  function boot(...rounds: NetworkView[]) {
    const log: string[] = [];
    let round = 0;
    const view: NetworkView = {
      platform: 'linux',
      addresses: () => (rounds[round] ?? machine({})).addresses(),
      readText: (path) => (rounds[round] ?? machine({})).readText(path),
      list: () => [],
      isRootSocket: () => false,
      rootWrote: () => null,
    };
    const sleep = async (ms: number) => {
      log.push(`slept ${ms}`);
      round += 1;
    };
    return { log, view, sleep, onWait: () => void log.push('waiting') };
  }
  const up = machine({ addresses: [['wg0', '10.8.0.1']], files: kernel });

  it.each([
    ['a wildcard', '0.0.0.0', machine({})],
    ['another interface', '10.8.0.1', machine({ addresses: [['eth0', '10.8.0.1']] })],
  ])('refuses %s at once', async (_, address, view) => {
    const deps = boot(view);
    await expect(waitForPrivateAddress(address, deps)).rejects.toMatchObject({ code: 'listen_refused', exit: 3 });
    expect(deps.log).toEqual([]);
  });
  it('refuses an address that comes up on another interface', async () => {
    const deps = boot(machine({}), machine({ addresses: [['eth0', '10.8.0.1']] }));
    const hint = expect.stringContaining('see into /var/run/wireguard');
    await expect(waitForPrivateAddress('10.8.0.1', deps)).rejects.toMatchObject({ code: 'listen_refused', hint });
  });
  it('waits for the interface and says so once', async () => {
    const deps = boot(machine({}), machine({}), up);
    await expect(waitForPrivateAddress('10.8.0.1', deps)).resolves.toEqual({ kind: 'wireguard', interface: 'wg0' });
    expect(deps.log).toEqual(['waiting', 'slept 1000', 'slept 1000']);
  });
  it('ends when it is told to', async () => {
    const stop = new AbortController();
    const deps = { ...boot(machine({})), signal: stop.signal };
    stop.abort();
    await expect(waitForPrivateAddress('10.8.0.1', deps)).rejects.toMatchObject({ code: 'cancelled' });
  });
  it('does not wait for loopback', async () => {
    const deps = boot();
    await expect(waitForPrivateAddress('127.0.0.1', deps)).resolves.toEqual({ kind: 'loopback' });
    expect(deps.log).toEqual([]);
  });
});
