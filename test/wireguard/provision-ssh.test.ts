import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { run } from '../../platform/run.ts';
import { spokeRuleset } from '../../wireguard/firewall/ruleset.ts';
import { decide, ready } from '../../wireguard/provision/carry-out.ts';
import { overSsh } from '../../wireguard/provision/place.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { HubNetwork, type Machine } from '../harness/hub-network.ts';
import { InstallerMachine } from '../harness/installer-machine.ts';
import { DISTRIBUTIONS } from '../harness/installer-stand-ins.ts';
import { makeUser, sshdMissing, startSshd, type TestSshd, type TestUser } from '../harness/sshd.ts';
import {
  decided,
  everything,
  inForce,
  makeNew,
  provisionObstacle,
  provisionScript,
  RULES,
} from './provision-machine.ts';

const isThorough = process.env.LATCHKEY_THOROUGH === '1';
const obstacle = provisionObstacle() ?? sshdMissing();
const PROGRAM = resolve(import.meta.dirname, '../../wireguard/main.ts');
const soon = { timeout: 30_000, interval: 250 };

describe.skipIf(obstacle !== null)(`wghub provision --ssh${obstacle === null ? '' : `: ${obstacle}`}`, () => {
  const cleanup = new Cleanup();
  const unguard = cleanup.guard();
  let target: InstallerMachine;
  let operator: Machine;
  let sshd: TestSshd;
  let config: string;

  beforeAll(async () => {
    const network = await HubNetwork.build(cleanup);
    operator = await network.machine('operator', 2);
    const machine = await network.machine('target', 1);
    target = await InstallerMachine.build(machine, DISTRIBUTIONS.debian);
    // sshd is this system's, and sessions are in the machine's own files
    await machine.run('chmod', '755', '/run');
    await machine.run('mkdir', '-p', '/run/sshd');
    sshd = await startSshd({
      address: machine.address,
      port: 22,
      wrap: machine.inside(['env']),
      config: ['ChrootDirectory /run/lk-machine/root'],
    });
    cleanup.add('sshd', () => sshd.stop());
    config = configured('known', sshd.knownHosts);
  });
  afterAll(async () => {
    unguard();
    await cleanup.run();
  });
  beforeEach(() => makeNew(target));

  /** A configuration that would take any host key, and would use one connection for everything. */
  function configured(name: string, knownHosts: string): string {
    const file = join(sshd.folder, name);
    const loose = [
      'StrictHostKeyChecking no',
      'ControlMaster auto',
      `ControlPath ${sshd.folder}/%C`,
      'ControlPersist 60',
    ];
    writeFileSync(file, [`UserKnownHostsFile ${knownHosts}`, `IdentityFile ${sshd.identity}`, ...loose, ''].join('\n'));
    return file;
  }

  const silent = { onStdout: () => undefined, onStderr: () => undefined };
  const place = (file = config) => operator.inside(overSsh(`root@${sshd.address}`, file));
  const spoke = (sshPort: number, waitSeconds = 30) => {
    const networks = ['10.66.0.0/24'];
    const wish = { tunnel: 'wg0', networks, hubAddresses: ['10.66.0.1'], sshPorts: [sshPort], publicPorts: [] };
    return provisionScript({
      role: 'spoke',
      ruleset: spokeRuleset(wish, 'spoke'),
      sysctls: [],
      services: [],
      waitSeconds,
    });
  };

  test('keeps rules under which a new connection gets in', async () => {
    const accepted = () => sshd.log().match(/Accepted publickey/g)?.length ?? 0;
    const before = accepted();
    const wish = ['--network', '10.66.0.0/24', '--hub-address', '10.66.0.1'];
    const there = ['--ssh', `root@${sshd.address}`, '--ssh-config', config, '--json'];
    const words = ['--disable-warning=ExperimentalWarning', PROGRAM, 'provision', 'spoke', ...wish, ...there];
    const { stdout, stderr } = await run(operator.inside([process.execPath, ...words]), { timeoutMs: 60_000 });
    expect(JSON.parse(stdout.toString('utf8'))).toEqual({ state: 'confirmed' });
    expect(stderr).toContain('confirmed: these rules stay');
    // one to load them, and another one to confirm
    expect(accepted() - before).toBe(2);
    expect(target.read(RULES)).toContain('ip saddr 10.66.0.1 counter drop');
  });

  test.runIf(isThorough)('changes nothing the second time', async () => {
    expect(await ready(place(), spoke(22), silent)).toBe('waiting');
    await decide(place(), 'confirm', silent);
    const state = await everything(target);
    expect(await ready(place(), spoke(22), silent)).toBe('unchanged');
    expect(await everything(target)).toEqual(state);
  });

  test('has rules without SSH go away by themselves', async () => {
    const before = await everything(target);
    expect(await ready(place(), spoke(2222, 3), silent)).toBe('waiting');
    await expect(decide(place(), 'confirm', silent, 2000)).rejects.toMatchObject({ code: 'provision_undecided' });
    await decided(target);
    expect(await everything(target)).toEqual(before);
    expect(await ready(place(), spoke(22), silent)).toBe('waiting'); // one gets in again
  });

  test('has rules that cut the connection itself go away too', async () => {
    const before = await everything(target);
    const chain = 'type filter hook input priority filter; policy drop;';
    const ruleset = `table inet latchkey\ndelete table inet latchkey\ntable inet latchkey {\n\tchain input {\n\t\t${chain}\n\t}\n}\n`;
    const cut = run(place(), {
      input: provisionScript({ ruleset, waitSeconds: 4 }),
      timeoutMs: 20_000,
      allowExit: 'any',
    });
    await vi.waitFor(async () => expect(await inForce(target)).toContain('policy drop'), soon);
    await expect(decide(place(), 'confirm', silent, 1500)).rejects.toMatchObject({ code: 'provision_undecided' });
    await cut; // it gets its last lines when what was before is back
    await decided(target);
    expect(await everything(target)).toEqual(before);
  });

  test('does not touch a host whose key is not known, whatever the configuration says', async () => {
    const before = await everything(target);
    const strange = configured('strange', join(sshd.folder, 'nothing'));
    const said: string[] = [];
    const listener = { ...silent, onStderr: (chunk: Buffer) => void said.push(chunk.toString('utf8')) };
    await expect(ready(place(strange), spoke(22), listener)).rejects.toMatchObject({ code: 'provision_failed' });
    expect(said.join('')).toContain('Host key verification failed');
    expect(await everything(target)).toEqual(before);
  });

  test.runIf(isThorough)('works for a user who has sudo, and stops where sudo asks for a password', async () => {
    const asUser = ({ name }: TestUser) => operator.inside(overSsh(`${name}@${sshd.address}`, config));
    const [free, asked] = [makeUser({ sudo: 'free' }), makeUser({ sudo: 'password' })];
    cleanup.add(free.name, () => free.remove());
    cleanup.add(asked.name, () => asked.remove());
    expect(await ready(asUser(free), spoke(22), silent)).toBe('waiting');
    await decide(asUser(free), 'confirm', silent);
    expect(target.read(RULES)).toContain('chain input');
    const before = await inForce(target);
    await expect(ready(asUser(asked), spoke(2222), silent)).rejects.toMatchObject({ code: 'provision_failed' });
    expect(await inForce(target)).toBe(before);
  });

  test.runIf(isThorough)('puts what waits back when it is told so, and has nothing to confirm then', async () => {
    const before = await everything(target);
    await ready(place(), spoke(22), silent);
    await decide(place(), 'abandon', silent);
    expect(await everything(target)).toEqual(before);
    await expect(decide(place(), 'confirm', silent)).rejects.toMatchObject({ code: 'provision_unconfirmed' });
  });
});
