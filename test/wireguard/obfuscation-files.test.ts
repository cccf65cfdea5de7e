import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../platform/run.ts';
import { checkConfig } from '../../wireguard/check/config-check.ts';
import { EMPTY_INTERFACE as EMPTY } from '../../wireguard/config/wireguard-config.ts';
import { writeBareConfig, writeConfig } from '../../wireguard/config/write-config.ts';
import { parseDump } from '../../wireguard/drivers/dump.ts';
import { toolDriver } from '../../wireguard/drivers/tool.ts';
import { uapiDriver } from '../../wireguard/drivers/uapi.ts';
import { networkFiles } from '../../wireguard/generate/network-files.ts';
import { generateKeyPair } from '../../wireguard/keys.ts';
import { CLIENT_PROGRAMS } from '../../wireguard/obfuscation/clients.ts';
import { drawObfuscation, LEVEL_NEEDS, LEVELS, type Level } from '../../wireguard/obfuscation/levels.ts';
import { type Obfuscation, PARAMETERS } from '../../wireguard/obfuscation/parameters.ts';
import { clientConfig } from '../../wireguard/peers/client-config.ts';
import { hasProgram } from '../harness/programs.ts';
import { brokenRules } from './written-rules.ts';

const KEYS = generateKeyPair();
const OTHER = generateKeyPair();
const PSK = randomBytes(32).toString('base64');
/** Random bytes from a large piece at a time, since hundreds of thousands are drawn. */
let pool = Buffer.alloc(0);
const random = (count: number): Buffer => {
  if (pool.length < count) pool = randomBytes(65_536);
  const drawn = pool.subarray(0, count);
  pool = pool.subarray(count);
  return drawn;
};
const filesOf = (obfuscation: Obfuscation) => {
  const pairs = [KEYS, OTHER];
  return networkFiles(
    {
      ...{ hub: 'hub.example:51820', spokes: ['a'], networks: ['10.88.0.0/24'], interface: 'wg0', keepalive: 25 },
      ...{ preshared: true, obfuscation },
    },
    () => pairs.shift() ?? KEYS,
    () => PSK,
  ).filter(({ secret }) => secret);
};

describe('what is written for a level', () => {
  test.each(LEVELS)('ten thousand times %s breaks no rule, on either end', (level) => {
    for (let i = 0; i < 10_000; i++) {
      for (const { path, text } of filesOf(drawObfuscation(level, random))) {
        const broken = brokenRules(text, level);
        if (broken.length > 0) expect.fail(`${path} of ${level}: ${broken.join('; ')}\n${text}`);
      }
    }
  });

  test.each(LEVELS)('%s is found sound when it is read again, and by the programs it is for', (level) => {
    const [hub] = filesOf(drawObfuscation(level, randomBytes));
    const check = checkConfig(hub?.text ?? '');
    expect(check.remarks).toEqual([]);
    expect(check.needs).toBe(LEVEL_NEEDS[level] ?? 'plain');
    expect(check.clients?.find(({ program }) => program === 'amneziawg-tools')?.why).toBeNull();
  });

  test.each(LEVELS)('%s has the same on both ends where a tunnel needs it', (level) => {
    const drawn = drawObfuscation(level, randomBytes);
    const [hub = '', spoke = ''] = filesOf(drawn).map(({ text }) => text);
    const lines = (text: string): string[] =>
      text.split('\n').filter((line) => (line.split(' = ')[0] ?? '') in PARAMETERS);
    expect(lines(hub)).toEqual(lines(spoke));
    expect(lines(hub)).toHaveLength(Object.keys(drawn).length);
  });

  test('the rules find what is broken', () => {
    const [file] = filesOf(drawObfuscation('high', randomBytes));
    const text = file?.text ?? '';
    for (const [pattern, wrong] of [
      [/Jc = \d+/, 'Jc = 129'],
      [/Jmin = \d+/, 'Jmin = 81'],
      [/S4 = \d+/, 'S4 = 33'],
      [/H2 = .*/, 'H2 = 4'],
      [/H2 = .*\n/, ''],
      [/I1 = .*/, 'I1 = <c>'],
      [/MTU = .*/, 'MTU = 1420'],
    ] as const) {
      expect(brokenRules(text.replace(pattern, wrong), 'high')).not.toEqual([]);
    }
    expect(brokenRules(text, 'medium')).not.toEqual([]);
    expect(brokenRules(text, 'high')).toEqual([]);
  });
});

test('off is plain WireGuard byte for byte', () => {
  expect(filesOf(drawObfuscation('off', randomBytes)).map(({ text }) => text)).toEqual([
    `[Interface]
PrivateKey = ${KEYS.privateKey}
Address = 10.88.0.1/24
ListenPort = 51820

[Peer]
PublicKey = ${OTHER.publicKey}
PresharedKey = ${PSK}
AllowedIPs = 10.88.0.11/32
`,
    `[Interface]
PrivateKey = ${OTHER.privateKey}
Address = 10.88.0.11/32

[Peer]
PublicKey = ${KEYS.publicKey}
PresharedKey = ${PSK}
AllowedIPs = 10.88.0.0/24
Endpoint = hub.example:51820
PersistentKeepalive = 25
`,
  ]);
});

describe('what plain WireGuard refuses', () => {
  const facts = {
    networks: ['10.0.1.0/24'],
    endpoint: 'hub.example:51820',
    dns: [],
    mtu: null,
    publicKey: KEYS.publicKey,
  };
  const client = { privateKey: KEYS.privateKey, presharedKey: null, addresses: ['10.0.1.5/32'], keepalive: 25 };
  const handed = (level: Level, name: string): string => {
    const program = CLIENT_PROGRAMS.find((one) => one.name === name);
    if (program === undefined) throw new Error(`no program ${name}`);
    const hub = { ...facts, obfuscation: drawObfuscation(level, randomBytes) };
    return writeConfig(clientConfig(hub, { ...client, route: 'network', program }));
  };

  test.each(LEVELS.slice(1))('is handed to no client without AmneziaWG: %s', (level) => {
    for (const { name, newest } of CLIENT_PROGRAMS) {
      if (newest === null)
        expect(() => handed(level, name)).toThrowError(expect.objectContaining({ code: 'client_unfit' }));
    }
    expect(brokenRules(handed(level, 'amneziawg-tools'), level)).toEqual([]);
  });

  test.skipIf(!hasProgram('wg') || !hasProgram('wg-quick'))(
    'is what it says: wg takes off, and nothing else',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'lk-plain-'));
      try {
        for (const level of LEVELS) {
          const drawn = drawObfuscation(level, randomBytes);
          const bare = filesOf(drawn)[0]?.text.replace(/^(Address|MTU) = .*\n/gm, '') ?? '';
          const file = join(folder, `${level}.conf`);
          writeFileSync(file, bare, { mode: 0o600 });
          // the file is read before the interface is looked for
          const { stderr } = await run(['wg', 'setconf', 'lk-none', file], { timeoutMs: 10_000, allowExit: 'any' });
          if (level === 'off') expect(stderr).not.toMatch(/unrecognized/);
          else expect(stderr).toMatch(/Line unrecognized/);
        }
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );
});

describe('the driver of awg, over a stand-in that records what it is given', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'lk-awg-'));
    // a stand-in for awg: each call as a line of arguments and the configuration it was given
    const script = `#!/bin/sh\nprintf '%s\\n' "$*" >> ${folder}/calls\n[ "$1" = show ] && cat ${folder}/dump && exit\nfor last; do :; done\n[ "$last" = /dev/stdin ] && cat "$last" >> ${folder}/given\nexit 0\n`;
    writeFileSync(join(folder, 'awg'), script);
    chmodSync(join(folder, 'awg'), 0o755);
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const driver = () =>
    toolDriver({ tool: 'awg', interface: 'awg0', inside: ['env', `PATH=${folder}:${process.env.PATH}`] });
  const peer = {
    publicKey: KEYS.publicKey,
    presharedKey: null,
    allowedIPs: ['10.0.1.5/32'],
    endpoint: null,
    keepalive: 0,
  };

  test('gets the whole interface with every parameter, no secret among the arguments', async () => {
    const obfuscation = drawObfuscation('extreme', randomBytes);
    await driver().replace({ privateKey: KEYS.privateKey, listenPort: 51821, fwMark: 0, obfuscation }, [peer]);
    const given = readFileSync(join(folder, 'given'), 'utf8');
    const device = { privateKey: KEYS.privateKey, listenPort: 51821, fwMark: 0, obfuscation };
    expect(given).toContain(`HeaderProtectionKey = ${obfuscation.HeaderProtectionKey}\n`);
    expect(given).toContain('RandomTrailers = on\n');
    expect(given).toContain('PersistentKeepalive = 0\n');
    expect(given.startsWith(writeBareConfig({ interface: { ...EMPTY, ...device }, peers: [] }))).toBe(true);
    const calls = readFileSync(join(folder, 'calls'), 'utf8');
    expect(calls).toBe('setconf awg0 /dev/stdin\n');
  });

  test('reads a dump of thirty columns with (null) in it', async () => {
    const columns = [
      ...[KEYS.privateKey, KEYS.publicKey, '51821', '4', '10', '50', '12', '12', '12', '12', '1', '2', '3', '4'],
      ...['<r 2><b 0x0100>', '(null)', '(null)', '(null)', '(null)', PSK, '0', '100-120', '3-7', '150-180', '5-15'],
      ...['(null)', 'on', 'off', '(null)', '0x51'],
    ];
    expect(columns).toHaveLength(30);
    const peers = [
      [KEYS.publicKey, '(none)', '192.0.2.7:4000', '10.0.1.5/32,fd00::5/128', '1700000000', '7', '8', '25-35'],
      [generateKeyPair().publicKey, PSK, '(null)', '(none)', '0', '0', '0', 'off'],
    ];
    writeFileSync(join(folder, 'dump'), `${[columns, ...peers].map((line) => line.join('\t')).join('\n')}\n`);
    const live = await driver().read();
    expect(live).toMatchObject({ privateKey: KEYS.privateKey, listenPort: 51821, fwMark: 0x51 });
    expect(live.peers.get(KEYS.publicKey)).toMatchObject({
      presharedKey: null,
      endpoint: '192.0.2.7:4000',
      allowedIPs: ['10.0.1.5/32', 'fd00::5/128'],
      keepalive: 25,
      lastHandshake: 1_700_000_000_000,
    });
    expect([...live.peers.values()][1]).toMatchObject({
      presharedKey: PSK,
      endpoint: null,
      allowedIPs: [],
      keepalive: 0,
    });
  });

  test('an interface without a key of its own has none', () => {
    const columns = ['(none)', '(none)', '0', ...Array.from({ length: 26 }, () => '(null)'), 'off'];
    expect(parseDump(`${columns.join('\t')}\n`)).toMatchObject({ privateKey: null, listenPort: 0, fwMark: 0 });
  });
});

const REAL_AWG = hasProgram('awg') && process.getuid?.() === 0;
describe.skipIf(!REAL_AWG)('a real awg', () => {
  const name = `lka${process.pid % 1e6}`;
  const socket = `/var/run/amneziawg/${name}.sock`;
  const peer = {
    publicKey: OTHER.publicKey,
    presharedKey: null,
    allowedIPs: ['10.0.1.5/32'],
    endpoint: null,
    keepalive: 0,
  };
  let told = '';
  let server: Server;
  beforeAll(async () => {
    mkdirSync('/var/run/amneziawg', { recursive: true });
    // a stand-in for amneziawg-go, which takes everything and says what it was told last
    server = createServer({ allowHalfOpen: true }, (line) => {
      let text = '';
      line.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
        if (!text.endsWith('\n\n')) return;
        if (text.startsWith('set=1\n')) told = text;
        const known = told.split('\n').filter((one) => !/^(set=1|replace_.*|)$/.test(one));
        line.end(`${text.startsWith('get=1') ? `${known.join('\n')}\n` : ''}errno=0\n\n`);
      });
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
  });
  afterAll(() => {
    server.close();
    rmSync(socket, { force: true });
  });

  test.each(LEVELS)(
    'reads what is written for %s, tells the control socket what the hub tells it, and is understood',
    async (level) => {
      const obfuscation = drawObfuscation(level, randomBytes);
      const device = { privateKey: KEYS.privateKey, listenPort: 51821, fwMark: 0, obfuscation };
      const lines = (): string[] =>
        told
          .split('\n')
          .filter((one) => OBFUSCATED.test(one))
          .sort();
      await toolDriver({ tool: 'awg', interface: name }).replace(device, [peer]);
      const byTool = lines();
      expect(byTool).toHaveLength(Object.keys(obfuscation).length);
      await uapiDriver({ socket }).replace(device, [peer]);
      expect(lines()).toEqual(byTool);
      const live = await toolDriver({ tool: 'awg', interface: name }).read();
      expect(live).toMatchObject({ privateKey: KEYS.privateKey, listenPort: 51821 });
      expect(live.peers.get(OTHER.publicKey)).toMatchObject({ allowedIPs: ['10.0.1.5/32'], keepalive: 0 });
    },
  );
});

/** What is not of plain WireGuard on the control socket. */
const OBFUSCATED = /^(jc|jmin|jmax|[shi]\d|header_|content_|rekey_|reject_|keepalive_|max_|random_|disable_)/;
