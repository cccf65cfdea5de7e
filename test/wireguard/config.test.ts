import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { run } from '../../platform/run.ts';
import { formatEndpoint, parseEndpoint } from '../../wireguard/config/endpoint.ts';
import { readConfig } from '../../wireguard/config/read-config.ts';
import { EMPTY_INTERFACE, type PeerConfig, type WireGuardConfig } from '../../wireguard/config/wireguard-config.ts';
import { writeBareConfig, writeConfig } from '../../wireguard/config/write-config.ts';
import { generateKeyPair } from '../../wireguard/keys.ts';
import { drawObfuscation, LEVELS } from '../../wireguard/obfuscation/levels.ts';
import { hasProgram } from '../harness/programs.ts';

const KEYS = Array.from({ length: 6 }, generateKeyPair);
const [A, B] = KEYS as [(typeof KEYS)[0], (typeof KEYS)[0]];
const OWN = `[Interface]\nPrivateKey = ${A.privateKey}\n`;

describe('readConfig() refuses, with the number of the line,', () => {
  test.each([
    ['an entry before the first section', `ListenPort = 1\n${OWN}`, 1],
    ['no interface', `[Peer]\nPublicKey = ${B.publicKey}\n`, 1],
    ['a second interface', `${OWN}[interface]\n`, 3],
    ['a section of another kind', `${OWN}[Route]\n`, 3],
    ['a line that is nothing', `${OWN}hello\n`, 3],
    ['a key with a blank in it', `${OWN}Listen Port = 1\n`, 3],
    ['a control character', `${OWN}DNS = 1.1.1.1\u0007\n`, 3],
    ['a private key that is none', '[Interface]\nPrivateKey = abc=\n', 2],
    ['two private keys', `${OWN}privatekey = ${A.privateKey}\n`, 3],
    ['a port above 65535', `${OWN}ListenPort = 65536\n`, 3],
    ['a port in words', `${OWN}ListenPort = http\n`, 3],
    ['an address with a wrong length', `${OWN}Address = 10.0.0.1/33\n`, 3],
    ['a list with a hole', `${OWN}Address = 10.0.0.1/24,,fd00::1/64\n`, 3],
    ['an MTU that no link has', `${OWN}MTU = 20\n`, 3],
    ['a mark that is too large', `${OWN}FwMark = 0x1ffffffff\n`, 3],
    ['a switch that is neither', `${OWN}SaveConfig = maybe\n`, 3],
    ['a peer without a key', `${OWN}\n[Peer]\nAllowedIPs = 10.0.0.2/32\n`, 4],
    ['a peer with a key of low order', `${OWN}[Peer]\nPublicKey = ${Buffer.alloc(32).toString('base64')}\n`, 4],
    ['an endpoint without a port', `${OWN}[Peer]\nPublicKey = ${B.publicKey}\nEndpoint = example.org\n`, 5],
    ['a keepalive above 65535', `${OWN}[Peer]\nPublicKey = ${B.publicKey}\nPersistentKeepalive = 70000\n`, 5],
    ['a range upside down', `${OWN}H1 = 9-5\n`, 3],
    ['a signature packet in plain words', `${OWN}I1 = hello\n`, 3],
  ])('%s', (_, text, line) => {
    expect(() => readConfig(text)).toThrowError(expect.objectContaining({ code: 'config_syntax', extra: { line } }));
  });
});

test('readConfig() reads what wg-quick reads: any case, comments, lists over several lines', () => {
  const config = readConfig(`# made by hand
[interface]
privatekey=${A.privateKey} # secret
ADDRESS = 10.0.1.1/24
Address = fd00::1/64 , 10.9.0.1
dns = 10.0.1.1, corp.example
FwMark = off
Table=off
PostUp = nft -f /etc/nft; echo a = b
PostUp = true
SomethingNew = x = y

[PEER]
PublicKey = ${B.publicKey}
AllowedIPs = 10.0.1.7/24
AllowedIPs = FD00:0::7/128, 0.0.0.0/0
Endpoint = [2001:DB8::1]:51820
PersistentKeepalive = off
`);
  expect(config.interface).toMatchObject({
    privateKey: A.privateKey,
    addresses: ['10.0.1.1/24', 'fd00::1/64', '10.9.0.1/32'],
    dns: ['10.0.1.1', 'corp.example'],
    fwMark: 0,
    table: 'off',
    hooks: { postUp: ['nft -f /etc/nft; echo a = b', 'true'] },
    others: [{ key: 'SomethingNew', value: 'x = y' }],
  });
  expect(config.peers).toEqual([
    {
      publicKey: B.publicKey,
      presharedKey: null,
      allowedIPs: ['10.0.1.0/24', 'fd00::7/128', '0.0.0.0/0'],
      endpoint: '[2001:DB8::1]:51820',
      keepalive: 0,
      others: [],
    },
  ]);
});

const key = fc.constantFrom(...KEYS.map(({ publicKey }) => publicKey));
const secret = fc.option(fc.constantFrom(...KEYS.map(({ privateKey }) => privateKey)));
const word = fc.stringMatching(/^[A-Za-z][A-Za-z0-9]{0,11}$/).filter((text) => !KNOWN.has(text.toLowerCase()));
const value = fc.stringMatching(/^[!-"$-~]([ -"$-~]{0,20}[!-"$-~])?$/);
const others = fc.array(fc.record({ key: word, value }), { maxLength: 3 });
const v4 = fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })).map(([address, bits]) => `${address}/${bits}`);
const span = fc.oneof(
  fc.integer({ min: 0, max: 65_535 }),
  fc
    .tuple(fc.integer({ min: 0, max: 600 }), fc.integer({ min: 0, max: 600 }))
    .map(([a, b]) => ({ from: a, to: a + b })),
);
const KNOWN = new Set([
  ...[
    'privatekey',
    'address',
    'listenport',
    'dns',
    'mtu',
    'table',
    'fwmark',
    'saveconfig',
    'preup',
    'postup',
    'predown',
  ],
  ...['postdown', 'publickey', 'presharedkey', 'allowedips', 'endpoint', 'persistentkeepalive', 'jc', 'jmin', 'jmax'],
  ...['s1', 's2', 's3', 's4', 'h1', 'h2', 'h3', 'h4', 'i1', 'i2', 'i3', 'i4', 'i5'],
]);
const config: fc.Arbitrary<WireGuardConfig> = fc.record({
  interface: fc.record({
    privateKey: secret,
    addresses: fc.array(v4, { maxLength: 3 }),
    listenPort: fc.option(fc.integer({ min: 0, max: 65_535 })),
    dns: fc.array(fc.ipV4(), { maxLength: 2 }),
    mtu: fc.option(fc.integer({ min: 576, max: 9000 })),
    table: fc.option(fc.constantFrom('auto', 'off', '51820')),
    fwMark: fc.option(fc.integer({ min: 0, max: 2 ** 32 - 1 })),
    saveConfig: fc.boolean(),
    hooks: fc.record({
      preUp: fc.array(value, { maxLength: 2 }),
      postUp: fc.array(value, { maxLength: 2 }),
      preDown: fc.array(value, { maxLength: 2 }),
      postDown: fc.array(value, { maxLength: 2 }),
    }),
    obfuscation: fc.constantFrom(...LEVELS).map((level) => drawObfuscation(level, randomBytes)),
    others,
  }),
  peers: fc.array(
    fc.record({
      publicKey: key,
      presharedKey: secret,
      allowedIPs: fc.array(
        fc.ipV4().map((address) => `${address}/32`),
        { maxLength: 3 },
      ),
      endpoint: fc.option(fc.constantFrom('hub.example:51820', '10.0.0.1:1', '[fd00::1]:65535')),
      keepalive: fc.option(span),
      others,
    }),
    { maxLength: 4 },
  ),
});

test('whatever is written reads back as the same', () => {
  fc.assert(
    fc.property(config, (given) => {
      expect(readConfig(writeConfig(given))).toEqual(given);
    }),
  );
});

test('no bytes make readConfig() throw anything but its own error', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), fc.constantFrom('', OWN), (noise, before) => {
      try {
        readConfig(`${before}${noise}`);
      } catch (error) {
        expect(error).toMatchObject({ code: 'config_syntax' });
      }
    }),
  );
});

test.each(['a\nPostUp = evil', 'a#b', 'a\u0000'])(
  'writeConfig() refuses a value that would break out of its line: %j',
  (dns) => {
    expect(() => writeConfig({ interface: { ...EMPTY_INTERFACE, dns: [dns] }, peers: [] })).toThrowError(TypeError);
  },
);

test('off is plain WireGuard, byte for byte', () => {
  const plain: WireGuardConfig = {
    interface: { ...EMPTY_INTERFACE, privateKey: A.privateKey, listenPort: 51820 },
    peers: [],
  };
  const off = { ...plain, interface: { ...plain.interface, obfuscation: drawObfuscation('off', randomBytes) } };
  expect(writeConfig(off)).toBe(writeConfig(plain));
  expect(writeBareConfig(off)).toBe(`[Interface]\nPrivateKey = ${A.privateKey}\nListenPort = 51820\nFwMark = off\n`);
});

describe('endpoints', () => {
  test.each([
    '',
    'host',
    'host:',
    ':1',
    'host:0',
    'host:65536',
    'host:01',
    'fd00::1:51820',
    '[fd00::1]',
    '[host]:1',
    '999.1.1.1:1',
    'a b:1',
    '-x:1',
  ])('parseEndpoint() refuses %j', (text) => {
    expect(() => parseEndpoint(text, 'endpoint')).toThrowError(/"endpoint"/);
  });

  test.each(['hub.example:51820', '10.0.0.1:1', '[fd00::1]:65535', 'hub_1.example.:443'])(
    '%s comes back as it is',
    (text) => {
      expect(formatEndpoint(parseEndpoint(text, 'endpoint'))).toBe(text);
    },
  );
});

describe.runIf(hasProgram('wg-quick'))('wg-quick', () => {
  const peer: PeerConfig = {
    publicKey: B.publicKey,
    presharedKey: B.privateKey,
    allowedIPs: ['10.0.1.2/32', 'fd00::2/128'],
    endpoint: '192.0.2.1:51820',
    keepalive: 25,
    others: [],
  };

  test('strips our file down to what writeBareConfig() tells wg', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lk-wg-'));
    try {
      const given = {
        interface: {
          ...EMPTY_INTERFACE,
          ...{ privateKey: A.privateKey, listenPort: 51820, fwMark: 0, mtu: 1420, table: 'off', dns: ['10.0.1.1'] },
          addresses: ['10.0.1.1/24'],
          hooks: { ...EMPTY_INTERFACE.hooks, postUp: ['true'] },
        },
        peers: [peer, { ...peer, publicKey: KEYS[2]?.publicKey ?? '', allowedIPs: ['10.0.1.3/32'] }],
      };
      writeFileSync(join(folder, 'lk0.conf'), writeConfig(given), { mode: 0o600 });
      const { stdout } = await run(['wg-quick', 'strip', join(folder, 'lk0.conf')], { timeoutMs: 10_000 });
      const squeezed = (text: string): string => text.replace(/\n{2,}/g, '\n').trim();
      expect(squeezed(stdout.toString('utf8'))).toBe(squeezed(writeBareConfig(given)));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
