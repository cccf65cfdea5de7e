import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { addServiceCommands } from '../../wireguard/commands/service.ts';
import { type HubUnitFacts, hubNodeOptions, hubUnit } from '../../wireguard/hub/hub-unit.ts';
import { hasProgram } from '../harness/programs.ts';
import { verifyUnits } from '../harness/unit-verification.ts';
import { runCommand } from '../keyserver/command-runner.ts';
import { type MadeHub, makeHub } from './made-hub.ts';

let hub: MadeHub;
beforeAll(async () => {
  hub = await makeHub();
});
afterAll(() => hub.remove());

const facts: HubUnitFacts = {
  node: process.execPath,
  root: join(import.meta.dirname, '../..'),
  data: '/srv/a hub 100% $HOME',
  exportFolder: '/srv/wg "files"',
  port: 8090,
  reads: [],
  unseal: ['--keyfile', '/media/$key'],
  credential: { name: 'hub', file: '/etc/latchkey/hub.cred' },
};
const NAME = 'latchkey-hub.service';
const ours = (said: string) => said.split('\n').filter((line) => line.includes(NAME));

it('hubUnit() refuses a path that no unit can hold', () => {
  expect(() => hubUnit({ ...facts, data: '/a\nExecStart=/b' })).toThrow('control characters');
  expect(() => hubUnit({ ...facts, node: '/a"b' })).toThrow('quotes');
});

it.skipIf(!hasProgram('systemd-analyze'))(
  'hubUnit() is what systemd takes, and a wrong word is complained about',
  async () => {
    expect(ours(await verifyUnits({ [NAME]: hubUnit(facts) }))).toEqual([]);
    expect(
      ours(await verifyUnits({ [NAME]: hubUnit(facts).replace('KillMode=process', 'KillMode=nobody') })),
    ).not.toEqual([]);
  },
);

it('hubUnit() leaves the interface alive, and gives no right but the one over networks', () => {
  const lines = hubUnit(facts).split('\n');
  expect(lines).toContain('KillMode=process');
  expect(lines.filter((line) => /Capabilit/.test(line))).toEqual(['CapabilityBoundingSet=CAP_NET_ADMIN']);
  expect(lines).toContain('ReadWritePaths="/srv/a hub 100%% $HOME" "/srv/wg \\"files\\""');
});

it('hubUnit() lets a hub listen on a low port where it is to, and read a certificate in a home', () => {
  const rights = (port: number) => /^CapabilityBoundingSet=(.*)$/m.exec(hubUnit({ ...facts, port }))?.[1];
  expect([1024, 443].map(rights)).toEqual(['CAP_NET_ADMIN', 'CAP_NET_ADMIN CAP_NET_BIND_SERVICE']);
  const home = { ...facts, node: '/usr/bin/node', root: '/opt/latchkey' };
  expect(hubUnit(home)).toContain('ProtectHome=yes');
  expect(hubUnit({ ...home, reads: ['/home/ann/site.crt', '/home/ann/site.key'] })).toContain('ProtectHome=read-only');
});

it('hubUnit() starts Node with the options that the launcher gives a hub', () => {
  const launcher = readFileSync(join(import.meta.dirname, '../../platform/launch.mjs'), 'utf8');
  const own = /'wireguard\/main\.ts': \[([^\]]+)\]/.exec(launcher)?.[1];
  expect(own?.split(',').map((word) => word.trim().replaceAll("'", ''))).toEqual(hubNodeOptions.slice(1));
  expect(hubUnit(facts)).toContain(hubNodeOptions.map((word) => `"${word}"`).join(' '));
});

it.each([
  ['no way to open the vault', []],
  ['two ways', ['--keyfile', '/k', '--credential', 'hub']],
])('service print refuses %s', async (_, words) => {
  const said = await runCommand(addServiceCommands, ['service', 'print', '--data', hub.data.directory, ...words]);
  expect([said.exit, said.stdout]).toEqual([2, '']);
});

it('service print prints the unit, and says what to do with it and how its credential is made', async () => {
  const words = ['service', 'print', '--data', hub.data.directory, '--credential', 'hub', '--json'];
  const said = await runCommand(addServiceCommands, words);
  const { path, text } = JSON.parse(said.stdout);
  expect([said.exit, path]).toEqual([0, '/etc/systemd/system/latchkey-hub.service']);
  expect(text).toContain('LoadCredentialEncrypted=hub:/etc/latchkey/hub.cred');
  expect(text).toContain('"--credential" "hub"');
  expect(said.stderr).toContain('systemd-creds encrypt --name=hub - /etc/latchkey/hub.cred');
});
