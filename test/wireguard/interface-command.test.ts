import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addInterfaceCommand } from '../../wireguard/commands/interface.ts';
import { listInterfaces, poolOf } from '../../wireguard/store/hub-interface.ts';
import { listInterfaceFacts } from '../../wireguard/store/interface-facts.ts';
import { insertPeer } from '../../wireguard/store/peers.ts';
import { runCommand, type Said } from '../keyserver/command-runner.ts';
import { newPeer } from './hub-store.ts';
import { type RunningHub, startRunningHub } from './running-hub.ts';

let hub: RunningHub;
beforeAll(async () => {
  hub = await startRunningHub();
});
afterAll(() => hub.stop());

const interfaceCommand = (...args: string[]): Promise<Said> =>
  runCommand(addInterfaceCommand, ['interface', ...args, '--data', hub.data.directory]);
const add = (name: string, ...args: string[]): Promise<Said> =>
  interfaceCommand('add', name, '--keyfile', hub.keyfile, ...args);
const state = async (): Promise<unknown> => [
  await hub.data.store.read(listInterfaceFacts),
  (await hub.audit()).map(({ event }) => event),
];
const PLACE = ['--network', '10.5.0.0/24', '--endpoint', 'hub.example:51821'];

describe('wghub interface add refuses, and nothing is changed:', () => {
  test.each([
    [
      'a network that overlaps',
      'wg1',
      ['--network', '10.0.1.128/25', '--endpoint', 'h:51821'],
      'overlaps with the one of wg0',
    ],
    ['a network of IPv6 that overlaps', 'wg1', [...PLACE, '--network6', 'fd42:4242:1::/64'], 'overlaps'],
    [
      'a port that is taken',
      'wg1',
      ['--network', '10.5.0.0/24', '--endpoint', 'h:51820'],
      '"listenPort" is the port of wg0',
    ],
    ['a name that is taken', 'wg0', PLACE, 'there is an interface wg0 already'],
    ['a name that Linux would not take', 'wg/1', PLACE, '"interface" must be 1 to 15'],
    ['a name that is too long', 'wireguard-of-ours', PLACE, '"interface" must be 1 to 15'],
    ['no network', 'wg1', ['--endpoint', 'h:51821'], '--network'],
    ['a network that is too small', 'wg1', ['--network', '10.5.0.0/31', '--endpoint', 'h:1'], 'from /8 to /30'],
    ['a level that is none', 'wg1', [...PLACE, '--level', 'most'], '--level'],
  ])('%s', async (_, name, args, words) => {
    const before = await state();
    const said = await add(name, ...args);
    expect(said.stderr).toContain(words);
    expect(said.exit).not.toBe(0);
    expect(said.stdout).toBe('');
    expect(await state()).toEqual(before);
  });
});

describe('wghub interface', () => {
  test('add makes one with a key and parameters of its own, which the running hub builds', async () => {
    const first = await add('wg1', ...PLACE, '--level', 'high', '--json');
    expect(JSON.parse(first.stdout)).toMatchObject({
      name: 'wg1',
      addresses: ['10.5.0.1/24'],
      level: 'high',
      hub: 'live',
    });
    expect(first.stdout).not.toMatch(/privateKey|obfuscation/);
    const second = await add('wg2', '--network', '10.6.0.0/24', '--endpoint', 'hub.example:51822', '--level', 'high');
    expect(second).toMatchObject({ exit: 0, stdout: expect.stringContaining('the running hub has built it') });
    expect(
      (await hub.audit()).filter(({ event }) => event === 'interface_made').map(({ detail }) => detail),
    ).toMatchObject([
      { by: 'command', interface: 'wg1', networks: ['10.5.0.0/24'], port: 51821, level: 'high' },
      { interface: 'wg2' },
    ]);
  });

  test('two of one level have other parameters', async () => {
    const all = await hub.data.store.read((db) => listInterfaces(db, hub.vault));
    const [one, two] = ['wg1', 'wg2'].map((name) => all.find((facts) => facts.name === name)?.obfuscation);
    expect(Object.keys(one ?? {})).toEqual(Object.keys(two ?? {}));
    expect(one?.H1).not.toEqual(two?.H1);
  });

  test('list and show tell how full each is, and no secret', async () => {
    const { interfaces } = JSON.parse((await interfaceCommand('list', '--json')).stdout);
    expect(interfaces.map(({ name }: { name: string }) => name)).toEqual(['wg0', 'wg1', 'wg2']);
    expect(interfaces[1]).toMatchObject({ peers: 0, freeAddresses: 253 });
    expect(interfaces[1]).not.toHaveProperty('privateKey');
    expect((await interfaceCommand('show', 'wg1')).stdout).toMatch(/level\s+high/);
    expect(await interfaceCommand('show', 'wg7')).toMatchObject({ exit: 2, stdout: '' });
  });

  test('remove refuses one with peers, and asks before it takes them', async () => {
    const facts = (await hub.data.store.read(listInterfaceFacts)).find(({ name }) => name === 'wg1');
    if (facts === undefined) throw new Error('wg1 was not made');
    const about = { interface: 'wg1', pool: poolOf(facts), seal: hub.vault, now: 1 };
    await hub.data.store.transaction((tx) => insertPeer(tx, about, newPeer()));
    const before = await state();
    expect(await interfaceCommand('remove', 'wg1')).toMatchObject({
      exit: 3,
      stderr: expect.stringContaining('wg1 has 1 peer'),
    });
    expect(await interfaceCommand('remove', 'wg1', '--with-peers')).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('--yes'),
    });
    expect(await interfaceCommand('remove', 'wg7')).toMatchObject({ exit: 2 });
    expect(await state()).toEqual(before);
  });

  test('remove --with-peers --yes takes all of it, and the running hub lets go of it', async () => {
    const said = await interfaceCommand('remove', 'wg1', '--with-peers', '--yes', '--json');
    expect(JSON.parse(said.stdout)).toEqual({ removed: 'wg1', peers: 1, hub: 'live' });
    expect((await hub.audit()).at(-1)).toMatchObject({
      event: 'interface_removed',
      detail: { interface: 'wg1', peers: 1 },
    });
    for (const table of ['peer', 'free_range'] as const) {
      const rows = await hub.data.store.read((db) =>
        db.selectFrom(table).where('interface', '=', 'wg1').selectAll().execute(),
      );
      expect(rows).toEqual([]);
    }
  });

  test('the last one stays', async () => {
    await interfaceCommand('remove', 'wg2');
    const before = await state();
    expect(await interfaceCommand('remove', 'wg0')).toMatchObject({
      exit: 3,
      stderr: expect.stringContaining('only interface'),
    });
    expect(await state()).toEqual(before);
  });
});
