import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addNodeCommands } from '../../wireguard/node/commands.ts';
import { type Look, readLook, writeLook } from '../../wireguard/node/look-file.ts';
import { machineFacts } from '../../wireguard/node/machine-facts.ts';
import { nodeHealth, nodeStatus } from '../../wireguard/node/node-status.ts';
import { nodeUnits } from '../../wireguard/node/node-units.ts';
import { runCommandHere } from '../harness/command-runner.ts';
import { hasProgram } from '../harness/programs.ts';
import { verifyUnits } from '../harness/unit-verification.ts';

const NOW = 1_700_000_000_000;
const MINUTE = 60_000;
const machine = { hostname: 'office', uptimeSeconds: 77, load: [0.1, 0.2, 0.3], diskFree: 13.37 * 1024 ** 3 } as const;
const peer = (lastHandshake: number | null) => {
  return { publicKey: 'K'.repeat(43).concat('='), endpoint: '192.0.2.1:51820', lastHandshake, rx: 1, tx: 2 };
};
const look = (peers: ReturnType<typeof peer>[], change: Partial<Look['interfaces'][0]> = {}, at = NOW): Look => {
  const one = { name: 'wg0', isUp: true, addresses: ['10.0.1.5/32'], listenPort: 51820, peers, ...change };
  return { version: 1, at, interfaces: [one] };
};

describe('nodeHealth()', () => {
  it.each<[string, Look | null, string]>([
    ['nobody has looked', null, 'nobody has looked at the interfaces yet'],
    [
      'the look is older than a minute',
      look([peer(NOW)], {}, NOW - MINUTE - 1),
      'nobody has looked at the interfaces for a minute',
    ],
    [
      'the look is of a time to come',
      look([peer(NOW)], {}, NOW + MINUTE + 1),
      'nobody has looked at the interfaces for a minute',
    ],
    ['there is no interface', { version: 1, at: NOW, interfaces: [] }, 'there is no WireGuard interface'],
    ['an interface is down', look([peer(NOW)], { isUp: false }), 'wg0 is down'],
    ['the only peer was never heard', look([peer(null)]), 'no peer of wg0 has shaken hands within three minutes'],
    [
      'the only peer was heard three minutes ago',
      look([peer(NOW - 3 * MINUTE)]),
      'no peer of wg0 has shaken hands within three minutes',
    ],
    [
      'all peers are silent',
      look([peer(null), peer(NOW - 9 * MINUTE)]),
      'no peer of wg0 has shaken hands within three minutes',
    ],
  ])('is degraded when %s', (_, seen, reason) => {
    expect(nodeHealth(seen, NOW)).toEqual({ status: 'degraded', reasons: [reason] });
  });
  it.each<[string, Look]>([
    ['a peer was heard a millisecond less than three minutes ago', look([peer(NOW - 3 * MINUTE + 1)])],
    ['one of two peers was heard', look([peer(null), peer(NOW)])],
    ['an interface is up and has no peers yet', look([])],
    ['the look is a minute old', look([peer(NOW)], {}, NOW - MINUTE)],
  ])('is ok when %s', (_, seen) => {
    expect(nodeHealth(seen, NOW)).toEqual({ status: 'ok', reasons: [] });
  });
});

describe('nodeStatus()', () => {
  it('tells ages in whole seconds and room in tenths of a GiB', () => {
    const told = nodeStatus(machine, look([peer(NOW - 61_999), peer(null)], {}, NOW - 2500), NOW);
    expect(told).toMatchObject({
      hostname: 'office',
      time: '2023-11-14T22:13:20.000Z',
      diskFreeGiB: 13.3,
      lookAgeSeconds: 2,
    });
    expect(told.interfaces[0]?.peers.map((one) => [one.handshakeAgeSeconds, one.stale])).toEqual([
      [61, false],
      [null, true],
    ]);
  });
  it('has nothing from the future after a clock was set back', () => {
    const told = nodeStatus({ ...machine, diskFree: null }, look([peer(NOW + 9000)], {}, NOW + 9000), NOW);
    expect([told.lookAgeSeconds, told.interfaces[0]?.peers[0]?.handshakeAgeSeconds, told.diskFreeGiB]).toEqual([
      0,
      0,
      null,
    ]);
  });
  it('tells of this machine, and of a disk that is not there nothing', () => {
    const facts = machineFacts('/');
    expect(facts.diskFree).toBeGreaterThan(0);
    expect(facts.uptimeSeconds).toBeGreaterThan(0);
    expect(machineFacts('/no such folder').diskFree).toBeNull();
  });
});

describe('what was seen', () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lk-look-'));
    file = join(folder, 'look.json');
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const wgnode = (...argv: string[]) =>
    runCommandHere(addNodeCommands, argv, { program: 'wgnode', clock: { now: () => NOW } as never });

  it('comes back as it was written, for the owner and the group', () => {
    expect(readLook(file)).toBeNull();
    writeLook(file, look([peer(NOW), peer(null)]));
    expect(readLook(file)).toEqual(look([peer(NOW), peer(null)]));
    expect(statSync(file).mode & 0o777).toBe(0o640);
  });
  it.each(['', '{', '{"version":2}', '[]'])('is refused when it is %j', (text) => {
    writeFileSync(file, text);
    expect(() => readLook(file)).toThrow(expect.objectContaining({ code: 'look_unreadable', status: 503 }));
    expect(() => readLook(file)).toThrow(/ is not what wgnode look writes$/);
  });
  it('that cannot be read is told from one of something else', () => {
    const refusal = { code: 'look_unreadable', message: `${folder} could not be read (EISDIR)` };
    expect(() => readLook(folder)).toThrow(expect.objectContaining(refusal));
  });
  it('is shown by wgnode status, which ends with 1 when something is wrong', async () => {
    writeLook(file, look([peer(NOW - 5000)]));
    const good = await wgnode('status', '--file', file);
    expect([good.exit, good.stderr]).toEqual([0, '']);
    expect(good.stdout).toMatch(/: ok, load .* GiB free\n.*\nwg0 .* 5 s ago +fresh/);
    writeLook(file, look([peer(NOW - 5 * MINUTE)]));
    const bad = await wgnode('status', '--file', file, '--json');
    expect(bad.exit).toBe(1);
    expect(JSON.parse(bad.stdout).health.status).toBe('degraded');
  });
  it('is not answered by root, nor outside of a tunnel', async () => {
    const root = await wgnode('start', '--listen', '127.0.0.1:8000', '--file', file);
    if (process.getuid?.() === 0)
      expect([root.exit, root.stderr]).toEqual([3, expect.stringContaining('does not run as root')]);
    const open = await wgnode('start', '--as-root', '--listen', '0.0.0.0:8000', '--file', file);
    expect([open.exit, open.stderr]).toEqual([3, expect.stringContaining('every interface')]);
    expect((await wgnode('start', '--as-root', '--listen', 'here:8000', '--file', file)).exit).toBe(2);
  });
});

describe('the units of a node', () => {
  const units = nodeUnits({
    node: process.execPath,
    root: '/srv/a clone 100%',
    listen: '10.0.1.5:8000',
    interfaces: ['wg0'],
  });
  const complaints = async (given: Record<string, string>) =>
    (await verifyUnits(given)).split('\n').filter((line) => line.includes('latchkey-node'));

  it('give the service that answers no right at all', () => {
    expect(units['latchkey-node.service']).toMatch(/^CapabilityBoundingSet=$/m);
    expect(units['latchkey-node.service']).toMatch(/^User=latchkey-node$/m);
    expect(() => nodeUnits({ node: '/n', root: '/a\nUser=root', listen: '', interfaces: [] })).toThrow(
      'control characters',
    );
  });
  it.skipIf(!hasProgram('systemd-analyze'))(
    'are what systemd takes, and a wrong word is complained about',
    async () => {
      const plain = {
        ...nodeUnits({
          node: process.execPath,
          root: join(import.meta.dirname, '../..'),
          listen: '10.0.1.5:8000',
          interfaces: [],
        }),
      };
      expect(await complaints(plain)).toEqual([]);
      const wrong = Object.fromEntries(
        Object.entries(plain).map(([name, text]) => [name, text.replace('ProtectClock=yes', 'ProtectClock=perhaps')]),
      );
      expect(await complaints(wrong)).not.toEqual([]);
    },
  );
});
