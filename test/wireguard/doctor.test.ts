import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { addDoctorCommand } from '../../wireguard/commands/doctor.ts';
import { type Finding, isTrouble } from '../../wireguard/doctor/finding.ts';
import { type HubLook, hubFindings } from '../../wireguard/doctor/hub-findings.ts';
import { type InterfaceLook, interfaceFindings } from '../../wireguard/doctor/interface-findings.ts';
import { isPortIn } from '../../wireguard/doctor/interface-look.ts';
import { machineFindings } from '../../wireguard/doctor/machine-findings.ts';
import { type PeerLook, peerFindings } from '../../wireguard/doctor/peer-findings.ts';
import type { WantedPeer } from '../../wireguard/drivers/driver.ts';
import { generateKeyPair } from '../../wireguard/keys.ts';
import { poolOf } from '../../wireguard/store/hub-interface.ts';
import { insertPeer } from '../../wireguard/store/peers.ts';
import { runCommand, type Said } from '../keyserver/command-runner.ts';
import { newPeer, testInterface } from './hub-store.ts';
import { type RunningHub, startRunningHub } from './running-hub.ts';

const NOW = Date.UTC(2026, 0, 31);
const DAY = 86_400_000;
const troubles = (findings: readonly Finding[]): Finding[] => findings.filter(isTrouble);

const HUB: HubLook = {
  now: NOW,
  directory: '/srv/hub',
  directoryFault: null,
  openFiles: [],
  freeBytes: 2 ** 33,
  database: 'sqlite',
  isWritable: true,
  vault: 'opens',
  secretBesideData: false,
  unsealOption: '--keyfile FILE',
  audit: { records: 9, signedTo: 9, signedAt: NOW },
  lastRecordAt: NOW,
  timeSync: 'yes',
  pid: 17,
  lastBackupAt: NOW - DAY,
  exportFolder: { path: '/etc/wireguard', trouble: null },
};

describe('hubFindings()', () => {
  test('finds nothing where all is well', () => {
    expect(hubFindings(HUB).map(({ verdict }) => verdict)).toEqual(Array.from({ length: 11 }, () => 'ok'));
  });

  test.each([
    ['a hub that does not run', { pid: null }, 'hub', 'fault', /wghub start --data \/srv\/hub/],
    [
      'a directory that others enter',
      { directoryFault: 'mode 755' },
      'data directory',
      'fault',
      /chmod 700 \/srv\/hub/,
    ],
    ['a file that others read', { openFiles: ['hub.db'] }, 'data directory', 'warn', /chmod 600 \/srv\/hub\/hub\.db/],
    ['a full disk', { freeBytes: 2 ** 26 - 1 }, 'disk space', 'fault', /df -h/],
    ['a disk that fills', { freeBytes: 2 ** 29 - 1 }, 'disk space', 'warn', /df -h/],
    ['a database that cannot be written', { isWritable: false }, 'database', 'fault', /ls -l \/srv\/hub/],
    ['a vault that does not open', { vault: { message: 'no', hint: 'another key' } }, 'vault', 'fault', /another key/],
    ['a keyfile beside the data', { secretBesideData: true }, 'vault secret', 'warn', /--keyfile FILE elsewhere/],
    ['a broken audit log', { audit: { broken: 'record 7' } }, 'audit log', 'fault', /restore/],
    [
      'an audit log that is not signed',
      { audit: { records: 9, signedTo: 4, signedAt: NOW - 2 * 3_600_000 } },
      'audit signature',
      'warn',
      /start the hub/,
    ],
    ['a clock that went back', { lastRecordAt: NOW + 1001 }, 'clock', 'fault', /set-ntp/],
    ['a clock that nobody keeps', { timeSync: 'no' }, 'time server', 'warn', /set-ntp/],
    ['no backup', { lastBackupAt: null }, 'backup', 'warn', /wghub backup/],
    ['an old backup', { lastBackupAt: NOW - 8 * DAY }, 'backup', 'warn', /wghub backup/],
    [
      'an export folder that is gone',
      { exportFolder: { path: '/x', trouble: 'ENOENT' } },
      'export folder',
      'warn',
      /mkdir -m 700 \/x/,
    ],
  ] as [string, Partial<HubLook>, string, string, RegExp][])('finds %s', (_, change, check, verdict, fix) => {
    const found = troubles(hubFindings({ ...HUB, ...change }));
    expect(found).toMatchObject([{ check, verdict, why: expect.stringMatching(/./), fix: expect.stringMatching(fix) }]);
  });

  test('a moment is enough where it is one', () => {
    const barely: Partial<HubLook> = {
      ...{ freeBytes: 2 ** 29, lastRecordAt: NOW + 1000, lastBackupAt: NOW - 8 * DAY + 1 },
      audit: { records: 9, signedTo: 4, signedAt: NOW - 2 * 3_600_000 + 1 },
    };
    expect(troubles(hubFindings({ ...HUB, ...barely }))).toEqual([]);
  });

  test('what was not looked at is neither well nor trouble', () => {
    const found = hubFindings({ ...HUB, vault: 'closed', timeSync: 'unknown', secretBesideData: null });
    expect(found.filter(({ verdict }) => verdict === 'unknown').map(({ check }) => check)).toEqual([
      'vault',
      'time server',
    ]);
    expect(troubles(found)).toEqual([]);
  });
});

const OWN = testInterface({ networks: ['10.0.1.0/24'], addresses: ['10.0.1.1/24'] });
const { privateKey, obfuscation, ...FACTS } = OWN;
const peer = (last: number): WantedPeer => ({
  ...{ publicKey: generateKeyPair().publicKey, presharedKey: null, endpoint: null, keepalive: 0 },
  allowedIPs: [`10.0.1.${last}/32`],
});
const PEERS = [peer(2), peer(3)];
const liveOf = (peers: readonly WantedPeer[], change: object = {}) => ({
  ...{ privateKey, listenPort: 51820, fwMark: 0, ...change },
  peers: new Map(peers.map((one) => [one.publicKey, { ...one, lastHandshake: null, rx: 0, tx: 0 }])),
});
const WELL: InterfaceLook = {
  facts: FACTS,
  obfuscation,
  choice: { made: 'user-space', program: 'wireguard-go', driver: 'uapi', why: 'it is installed' },
  mayLook: true,
  isHubRunning: true,
  link: { addresses: ['10.0.1.1/24'], mtu: 1420, isUp: true, kind: 'tun' },
  hasSocket: true,
  live: liveOf(PEERS),
  isPortTaken: true,
  wanted: new Map(PEERS.map((one) => [one.publicKey, one])),
  hasSecrets: true,
  endpointAddresses: ['192.0.2.1'],
  tool: { name: 'wg', version: '1.0.20250521' },
  forwarding: { 4: true, 6: true },
};
const LINK = WELL.link as NonNullable<InterfaceLook['link']>;

describe('interfaceFindings()', () => {
  test('finds nothing where all is well, and tells the driver and why', () => {
    const found = interfaceFindings(WELL);
    expect(troubles(found)).toEqual([]);
    expect(found[0]).toMatchObject({ check: 'driver', found: expect.stringContaining('it is installed') });
  });

  test.each([
    ['no way to make it', { choice: { missing: 'wireguard-go' } }, 'driver', 'fault', /install wireguard-go/],
    [
      'an interface that is not there',
      { link: null, live: { trouble: 'x' }, isPortTaken: false },
      'interface',
      'fault',
      /log of the hub/,
    ],
    [
      'one that is not there, nor its hub',
      { link: null, live: { trouble: 'x' }, isPortTaken: false, isHubRunning: false },
      'interface',
      'fault',
      /wghub start/,
    ],
    [
      'an interface of another kind',
      { link: { ...LINK, kind: 'dummy' } },
      'interface',
      'fault',
      /ip -details link show wg0/,
    ],
    ['a tun of somebody else', { hasSocket: false }, 'interface', 'fault', /ip -details/],
    ['an interface that is down', { link: { ...LINK, isUp: false } }, 'interface', 'fault', /ip link set wg0 up/],
    [
      'an address that is missing',
      { link: { ...LINK, addresses: [] } },
      'addresses',
      'fault',
      /ip address add 10\.0\.1\.1\/24 dev wg0/,
    ],
    [
      'an address too many',
      { link: { ...LINK, addresses: ['10.0.1.1/24', '10.9.9.9/32'] } },
      'addresses',
      'warn',
      /ip address delete 10\.9\.9\.9\/32/,
    ],
    ['an MTU that is too large', { link: { ...LINK, mtu: 1421 } }, 'mtu', 'warn', /mtu 1420/],
    ['an MTU without room for padding', { obfuscation: { S3: 0, S4: 8 } }, 'mtu', 'warn', /mtu 1412/],
    ['a control socket that does not answer', { live: { trouble: 'no answer' } }, 'peers', 'fault', /wait a minute/],
    [
      'a port that somebody else has',
      { live: liveOf(PEERS, { listenPort: 0 }) },
      'port',
      'fault',
      /ss -ulpn 'sport = :51820'/,
    ],
    ['another port', { live: liveOf(PEERS, { listenPort: 4 }), isPortTaken: false }, 'port', 'fault', /wait a minute/],
    ['another key', { live: liveOf(PEERS, { privateKey: generateKeyPair().privateKey }) }, 'key', 'fault', /wait/],
    ['no key', { live: liveOf(PEERS, { privateKey: null }) }, 'key', 'fault', /wait/],
    ['a peer that is missing', { live: liveOf(PEERS.slice(1)) }, 'peers', 'fault', /wait/],
    [
      'a foreign peer',
      { live: liveOf([...PEERS, peer(9)]) },
      'foreign peers',
      'warn',
      /^wg set wg0 peer \S{44} remove$/,
    ],
    ['an old tool', { tool: { name: 'wg', version: '1.0.20210914' } }, 'tool', 'warn', /newer wireguard-tools/],
    [
      'no forwarding',
      { forwarding: { 4: false, 6: false } },
      'forwarding',
      'warn',
      /sysctl -w net\.ipv4\.ip_forward=1/,
    ],
    [
      'no forwarding of IPv6',
      { facts: { ...FACTS, networks: ['fd00::/64'] }, forwarding: { 4: true, 6: false } },
      'forwarding of IPv6',
      'warn',
      /net\.ipv6\.conf\.all\.forwarding=1/,
    ],
    ['an endpoint that leads nowhere', { endpointAddresses: null }, 'endpoint', 'fault', /DNS/],
  ] as [string, Partial<InterfaceLook>, string, string, RegExp][])('finds %s', (_, change, check, verdict, fix) => {
    const found = troubles(interfaceFindings({ ...WELL, ...change }));
    const expected = {
      interface: 'wg0',
      check,
      verdict,
      why: expect.stringMatching(/./),
      fix: expect.stringMatching(fix),
    };
    expect(found).toMatchObject([expected]);
  });

  test('a single peer needs no forwarding', () => {
    const wanted = new Map([...WELL.wanted].slice(0, 1));
    const look = { ...WELL, wanted, live: liveOf(PEERS.slice(0, 1)), forwarding: { 4: false, 6: false } };
    expect(troubles(interfaceFindings(look))).toEqual([]);
  });

  test('a preshared key that differs is found only by who may know it', () => {
    const [first] = PEERS;
    if (first === undefined) throw new Error('no peer');
    const live = liveOf([{ ...first, presharedKey: privateKey }, ...PEERS.slice(1)]);
    expect(troubles(interfaceFindings({ ...WELL, live }))).toMatchObject([{ check: 'peers' }]);
    expect(troubles(interfaceFindings({ ...WELL, live, hasSecrets: false }))).toEqual([]);
  });

  test('who may not look at interfaces is told so, and blames nobody', () => {
    const found = interfaceFindings({ ...WELL, live: { trouble: 'refused' }, mayLook: false });
    expect(troubles(found)).toEqual([]);
    expect(found.find(({ check }) => check === 'peers')).toMatchObject({
      verdict: 'unknown',
      fix: expect.stringContaining('root'),
    });
  });
});

const PEER_LOOK: PeerLook = {
  ...{ interface: 'wg0', directory: '/srv/hub', isHubRunning: true, poolSize: 1000, poolFree: 100 },
  ...{ neverHeard: [], expired: [] },
};

describe('peerFindings()', () => {
  test('finds nothing where all is well', () => {
    expect(troubles(peerFindings(PEER_LOOK))).toEqual([]);
  });

  test.each([
    ['a pool that fills', { poolFree: 99 }, 'pool', 'warn', /interface add/],
    ['a pool that is full', { poolFree: 0 }, 'pool', 'fault', /interface add/],
    [
      'peers that never shook hands',
      { neverHeard: ['a', 'b', 'c', 'd', 'e', 'f'] },
      'silent peers',
      'warn',
      /peer remove/,
    ],
    ['peers whose time is over', { expired: ['a'], isHubRunning: false }, 'expired peers', 'warn', /wghub start/],
  ] as [string, Partial<PeerLook>, string, string, RegExp][])('finds %s', (_, change, check, verdict, fix) => {
    const found = troubles(peerFindings({ ...PEER_LOOK, ...change }));
    expect(found).toMatchObject([{ check, verdict, fix: expect.stringMatching(fix) }]);
  });
});

test('machineFindings() tell what keeps a machine from making interfaces', () => {
  const means = { kernel: false, kernelAmnezia: false, programs: ['ip', 'wireguard-go'] };
  const checks = (...args: Parameters<typeof machineFindings>) =>
    troubles(machineFindings(...args)).map(({ check }) => check);
  expect(checks(means, { mayMakeLinks: true, tun: null })).toEqual([]);
  expect(checks(means, { mayMakeLinks: true, tun: 'ENOENT' })).toEqual(['tun']);
  expect(checks({ ...means, kernel: true }, { mayMakeLinks: true, tun: 'ENOENT' })).toEqual([]);
  expect(checks({ ...means, programs: [] }, { mayMakeLinks: true, tun: null })).toEqual(['ip']);
});

test('isPortIn() reads the local port and no other', () => {
  const line = ' 1: 0100007F:CA6C 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 12345 2 0 0';
  expect(isPortIn([line], 0xca6c)).toBe(true);
  expect(isPortIn([line], 0xca6d)).toBe(false);
  expect(isPortIn([line], 0)).toBe(false);
});

describe('wghub doctor', () => {
  let hub: RunningHub;
  beforeAll(async () => {
    hub = await startRunningHub({ interface: { endpoint: '192.0.2.1:51820' } });
  });
  afterAll(() => hub.stop());
  afterEach(() => chmodSync(hub.data.directory, 0o700));
  const doctor = (...args: string[]): Promise<Said> =>
    runCommand(addDoctorCommand, ['doctor', '--data', hub.data.directory, ...args], hub.clock);
  const found = async (...args: string[]): Promise<Finding[]> =>
    JSON.parse((await doctor('--json', ...args)).stdout).findings;
  const checks = (findings: readonly Finding[]): string[] => troubles(findings).map(({ check }) => check);

  test('of a hub that runs finds no more than there is, and changes nothing', async () => {
    const state = () => [readdirSync(hub.data.directory), readFileSync(join(hub.data.directory, 'vault.json'), 'utf8')];
    const before = [state(), await hub.audit()];
    const findings = await found('--keyfile', hub.keyfile);
    const beside = statSync(hub.keyfile).dev === statSync(hub.data.directory).dev;
    expect(checks(findings)).toEqual([...(beside ? ['vault secret'] : []), 'backup']);
    expect(findings.find(({ check }) => check === 'hub')?.found).toBe(`runs, process ${process.pid}`);
    expect([state(), await hub.audit()]).toEqual(before);
  });

  test('names peers who never came, whose time is over, and a keyfile that is of another hub', async () => {
    const about = { interface: 'wg0', pool: poolOf(testInterface()), seal: hub.vault, now: NOW };
    const order = newPeer({ name: 'lost', expiresAt: NOW + 1 });
    await hub.data.store.transaction((tx) => insertPeer(tx, about, order));
    const folder = mkdtempSync(join(tmpdir(), 'lk-doctor-'));
    const other = await startRunningHub();
    try {
      const findings = await found('--keyfile', other.keyfile);
      expect(checks(findings)).toEqual(expect.arrayContaining(['vault', 'silent peers', 'expired peers']));
      expect(findings.find(({ check }) => check === 'silent peers')?.found).toContain('lost');
    } finally {
      await other.stop();
      rmSync(folder, { recursive: true });
    }
  });

  test('tells of data that cannot be opened, and of the machine all the same', async () => {
    chmodSync(hub.data.directory, 0o755);
    const said = await doctor();
    expect(said.exit).toBe(1);
    expect(said.stdout).toMatch(/^FAULT data\s.*can be entered by others \(mode 755\)\n\s+why: .*\n\s+do: +chmod 700/);
    expect(said.stdout).toMatch(/rights/);
  });

  test('is used wrongly without a directory', async () => {
    expect(await runCommand(addDoctorCommand, ['doctor'])).toMatchObject({ exit: 2, stdout: '' });
    expect(await doctor('--keyfile', 'a', '--passphrase-file', 'b')).toMatchObject({ exit: 2 });
  });
});
