import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ConfigCheck, checkConfig } from '../../wireguard/check/config-check.ts';
import { sharedNetworks } from '../../wireguard/check/shared-networks.ts';
import { addCheckCommand } from '../../wireguard/commands/check.ts';
import { generateKeyPair } from '../../wireguard/keys.ts';
import { runCommand } from '../keyserver/command-runner.ts';

const OWN = generateKeyPair();
const [A, B] = [generateKeyPair(), generateKeyPair()];
const PLAIN = `[Interface]
PrivateKey = ${OWN.privateKey}
Address = 10.0.1.5/32

[Peer]
PublicKey = ${A.publicKey}
AllowedIPs = 10.0.1.0/24
Endpoint = 192.0.2.1:51820
PersistentKeepalive = 25
`;
const AWG = PLAIN.replace(
  '\n\n[Peer]',
  `
MTU = 1380
Jc = 4
Jmin = 8
Jmax = 80
S1 = 20
S2 = 40
S3 = 30
S4 = 10
H1 = 5
H2 = 6
H3 = 7
H4 = 10-20

[Peer]`,
);

const faults = (text: string): string[] =>
  checkConfig(text)
    .remarks.filter(({ verdict }) => verdict === 'fault')
    .map(({ line, words }) => `${line}: ${words}`);
const whyOf = ({ clients }: ConfigCheck, name: string): string | null | undefined =>
  clients?.find(({ program }) => program === name)?.why;

describe('checkConfig() names the line and the rule of', () => {
  const second = (networks: string): string =>
    `${PLAIN}\n[Peer]\nPublicKey = ${B.publicKey}\nAllowedIPs = ${networks}\n`;
  test.each([
    ['a private key that is none', PLAIN.replace(OWN.privateKey, 'abc'), /^2: .*"PrivateKey" must be a key/],
    ['a public key of low order', PLAIN.replace(A.publicKey, `${'A'.repeat(43)}=`), /^6: .*low order/],
    ['an address that is none', PLAIN.replace('10.0.1.5/32', '10.0.1.5/33'), /^3: .*"Address" must end with a length/],
    ['a line that is nothing', `${PLAIN}what\n`, /^10: is neither a section nor "Key = Value"/],
    ['a key that nobody knows', PLAIN.replace('Address =', 'Addres ='), /^3: "Addres" is nothing that a section/],
    ['a key in the wrong section', `${PLAIN}ListenPort = 5\n`, /^10: "ListenPort" is nothing that a section \[Peer\]/],
    ['no interface', PLAIN.slice(PLAIN.indexOf('[Peer]')), /^1: should begin a file with a section \[Interface\]/],
    ['a peer without a key', PLAIN.replace(/PublicKey.*\n/, ''), /^5: begins a peer without a PublicKey/],
    ['a value given twice', `${PLAIN}PersistentKeepalive = 5\n`, /^10: gives "PersistentKeepalive" a second time/],
    [
      'one network for two peers',
      second('10.0.1.0/24'),
      /^13: "AllowedIPs" gives 10\.0\.1\.0\/24 to a second peer: the peer of line 5 loses it/,
    ],
    [
      'one key for two peers',
      second('10.0.2.0/24').replace(B.publicKey, A.publicKey),
      /^12: "PublicKey" is the one of line 6/,
    ],
    ['a peer that is oneself', PLAIN.replace(A.publicKey, OWN.publicKey), /^6: "PublicKey" belongs to the PrivateKey/],
    ['an MTU that is too large', PLAIN.replace('\n\n', '\nMTU = 1500\n\n'), /^4: "MTU" must be at most 1440/],
    [
      'padding without an MTU',
      AWG.replace('MTU = 1380\n', '').replace('S4 = 10', 'S4 = 32'),
      /^1: "MTU" is missing, and 1420 is taken: it must be at most 1408/,
    ],
    [
      'padding over IPv6 without an MTU',
      AWG.replace('MTU = 1380\n', '').replace('192.0.2.1', '[2001:db8::1]'),
      /must be at most 1410/,
    ],
    ['junk upside down', AWG.replace('Jmin = 8', 'Jmin = 90'), /^6: "Jmin" must be less than Jmax/],
    ['types that touch', AWG.replace('H3 = 7', 'H3 = 7-10'), /^14: "H3" must have nothing in common with H4/],
    ['a type that is missing', AWG.replace('H2 = 6\n', ''), /"H2" must be given with the other three/],
    [
      'an initiation as long as a response',
      AWG.replace('S2 = 40', 'S2 = 76'),
      /^8: "S1" must not make an initiation as long/,
    ],
    [
      'a keepalive in words',
      AWG.replace('PersistentKeepalive = 25', 'PersistentKeepalive = off'),
      /^21: "PersistentKeepalive" must be 0/,
    ],
  ])('%s', (_, text, expected) => {
    const found = faults(text);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(expected);
  });

  test('every wrong line of several, each once', () => {
    const text = PLAIN.replace('25', 'often').replace('10.0.1.5/32', 'here').replace(A.publicKey, 'x');
    expect(faults(text).map((one) => one.split(':')[0])).toEqual(['3', '6', '9']);
  });
});

describe('checkConfig() of what is sound', () => {
  test('finds nothing, and tells the MTU and who takes it', () => {
    const plain = checkConfig(PLAIN);
    expect(plain).toMatchObject({ remarks: [], needs: 'plain', peers: 1, mtu: { given: null, fits: 1440, over: 4 } });
    expect(plain.clients?.filter(({ why }) => why !== null)).toEqual([]);
    const awg = checkConfig(AWG);
    expect(awg).toMatchObject({ remarks: [], needs: '2.0', mtu: { given: 1380, fits: 1430, over: 4 } });
    expect(whyOf(awg, 'wireguard')).toMatch(/plain WireGuard only/);
    expect(whyOf(awg, 'keenetic')).toMatch(/up to 1\.0/);
    expect(whyOf(awg, 'amneziawg-windows')).toBeNull();
  });

  test('says which apps refuse what wg-quick knows', () => {
    const check = checkConfig(AWG.replace('MTU = 1380', 'MTU = 1380\nPostUp = true\nFwMark = 0x51'));
    expect(whyOf(check, 'amneziawg-apple')).toBe('amneziawg-apple refuses a file with PostUp, FwMark');
    expect(whyOf(check, 'amneziawg-windows')).toBe('amneziawg-windows refuses a file with FwMark');
    expect(whyOf(check, 'amneziawg-tools')).toBeNull();
    expect(whyOf(checkConfig(AWG.replace(/PersistentKeepalive.*\n/, '')), 'amneziawg-windows')).toBeNull();
    const ranged = checkConfig(AWG.replace('PersistentKeepalive = 25', 'PersistentKeepalive = 25-35'));
    expect(whyOf(ranged, 'amneziawg-windows')).toMatch(/no range/);
  });

  test('a narrower network of another peer is a note, since it is legal', () => {
    const text = `${PLAIN}\n[Peer]\nPublicKey = ${B.publicKey}\nAllowedIPs = 10.0.1.9/32\n`;
    expect(checkConfig(text).remarks).toEqual([
      { verdict: 'note', line: 13, words: expect.stringContaining('inside of 10.0.1.0/24') },
    ]);
  });
});

test('sharedNetworks() tells every pair that nests, in families of their own, and not within one peer', () => {
  const of = (...lists: string[][]) => sharedNetworks(lists.map((allowedIPs) => ({ allowedIPs })));
  expect(of(['10.0.0.0/8', '10.1.0.0/16'], ['11.0.0.0/8'])).toEqual([]);
  expect(of(['0.0.0.0/0'], ['::/0'])).toEqual([]);
  expect(of(['10.0.0.0/8'], ['10.1.0.0/16', '10.1.0.0/24'], ['10.1.0.5/32'])).toMatchObject([
    { inside: '10.1.0.0/16', peers: [0, 1], same: false },
    { inside: '10.1.0.5/32', peers: [1, 2], same: false },
  ]);
  expect(of(['fd00::/64'], ['fd00::/64'])).toMatchObject([{ peers: [0, 1], same: true }]);
});

describe('wghub check', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'lk-check-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const check = async (text: string, ...args: string[]) => {
    const file = join(folder, 'wg0.conf');
    writeFileSync(file, text);
    return runCommand(addCheckCommand, ['check', file, ...args]);
  };

  test('fails for a rule that is broken, and for a client that would not take it', async () => {
    expect(await check(AWG.replace('Jc = 4', 'Jc = 129'))).toMatchObject({
      exit: 1,
      stdout: expect.stringContaining('line 5: fault: "Jc"'),
    });
    expect(await check(AWG, '--client', 'wireguard')).toMatchObject({
      exit: 1,
      stderr: expect.stringContaining('plain WireGuard only'),
    });
    expect(await check(AWG, '--client', 'openvpn')).toMatchObject({ exit: 2, stdout: '' });
    expect(await runCommand(addCheckCommand, ['check', join(folder, 'none')])).toMatchObject({
      exit: 1,
      stderr: expect.stringContaining('ENOENT'),
    });
  });

  test('passes what is sound', async () => {
    expect(await check(AWG, '--client', 'amneziawg-tools')).toMatchObject({
      exit: 0,
      stdout: expect.stringContaining('AmneziaWG 2.0 or newer'),
    });
    expect(JSON.parse((await check(PLAIN, '--json')).stdout)).toMatchObject({
      sound: true,
      needs: 'plain',
      remarks: [],
    });
  });

  test.each([
    ['as it is', (key: string) => PLAIN.replace(OWN.privateKey, `${key}x`)],
    ['on a line of its own', (key: string) => `${PLAIN}${key}\n`],
    ['at the beginning', (key: string) => `${key}\n${PLAIN}`],
    ['as a name', (key: string) => PLAIN.replace('Address', key.replace(/[^A-Za-z0-9]/g, ''))],
    ['for a section', (key: string) => `${PLAIN}[${key}]\n`],
    [
      'for an obfuscation key',
      (key: string) => PLAIN.replace('\n\n', `\nHeaderProtectionKey = ${key}0\nI1 = ${key}\n\n`),
    ],
  ])('prints no key, given %s', async (_, spoil) => {
    const key = `${'Canary1Canary2Canary3Canary4Canary5Canary67'.slice(0, 43)}=`;
    for (const args of [[], ['--json']]) {
      const { exit, stdout, stderr } = await check(spoil(key), ...args);
      expect(exit).toBe(1);
      expect(`${stdout}${stderr}`).not.toMatch(/Canary/);
    }
  });
});
