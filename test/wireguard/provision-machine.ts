import { existsSync } from 'node:fs';
import { expect, vi } from 'vitest';
import { hubRuleset } from '../../wireguard/firewall/ruleset.ts';
import { FORWARDING, type ProvisionValues, provisionText, STATE } from '../../wireguard/provision/script.ts';
import { type InstallerMachine, installerObstacle } from '../harness/installer-machine.ts';
import { hasProgram } from '../harness/programs.ts';

export const RULES = '/etc/nftables.d/latchkey.nft';
export const SYSCTL = '/etc/sysctl.d/99-zz-latchkey.conf';
export const MAIN = '/etc/nftables.conf';
/** As Debian's package has it. */
export const USUAL_MAIN = `#!/usr/sbin/nft -f

flush ruleset

table inet filter {
	chain input {
		type filter hook input priority filter;
	}
	chain forward {
		type filter hook forward priority filter;
	}
}
`;
export const INCLUDE = `include "${RULES}"\n`;
export const WISH = {
  tunnels: [{ name: 'wg0', port: 51820 }],
  networks: ['10.66.0.0/24', 'fd66::/64'],
  sshPorts: [22],
  publicPorts: [443],
  tunnelPorts: [],
  talking: ['10.66.0.0/24'],
};
const VALUES: ProvisionValues = {
  role: 'hub',
  ruleset: hubRuleset(WISH, 'first'),
  sysctls: FORWARDING,
  services: ['latchkey-hub.service'],
  waitSeconds: 30,
  tunnel: null,
};
/** Another one, as after a change. */
export const SECOND = hubRuleset({ ...WISH, publicPorts: [443, 8443] }, 'second');

export const provisionScript = (more: Partial<ProvisionValues> = {}): string => provisionText({ ...VALUES, ...more });

/** Why no machine can be provisioned here, or `null`. */
export function provisionObstacle(): string | null {
  const missing = ['nft', 'unshare', 'setsid'].filter((name) => !hasProgram(name));
  return installerObstacle() ?? (missing.length === 0 ? null : `${missing.join(', ')} not installed`);
}

/** What is in force: rules without their counters, and what is forwarded. */
export function inForce(machine: InstallerMachine): Promise<string> {
  const forwarding = FORWARDING.map(([path]) => `/proc/sys/${path}`).join(' ');
  return machine.command('sh', '-c', `nft -s list ruleset; cat ${forwarding}`);
}

/** What is in force, and every file. */
export async function everything(machine: InstallerMachine): Promise<string[]> {
  return [await inForce(machine), ...(await machine.state())];
}

/** True while rules wait for their confirmation. */
export function isWaiting(machine: InstallerMachine): boolean {
  return existsSync(machine.path(`${STATE}/ready`));
}

/** Resolves when a guard that nobody asks has decided, and has taken away what was its own. */
export function decided(machine: InstallerMachine): Promise<void> {
  const look = () => expect(existsSync(machine.path(STATE))).toBe(false);
  return vi.waitFor(look, { timeout: 20_000, interval: 100 });
}

/** Nothing of an earlier test is left, and nftables.service has what a package brings. */
export async function makeNew(machine: InstallerMachine): Promise<void> {
  if (isWaiting(machine)) await machine.run(provisionScript(), { args: ['--roll-back'] });
  machine.failAt();
  machine.hangAt();
  for (const name of ['nft', 'setsid']) machine.remove(`/usr/local/bin/${name}`);
  for (const path of ['/etc/nftables.d', SYSCTL, STATE, '/etc/nftables.nft']) machine.remove(path);
  machine.remove('/etc/systemd/system/multi-user.target.wants');
  machine.folder('/etc/systemd/system/multi-user.target.wants');
  machine.write(MAIN, USUAL_MAIN, 0o755);
  const forwarding = FORWARDING.map(([path]) => `echo 0 >/proc/sys/${path}`).join('; ');
  await machine.command('sh', '-c', `nft flush ruleset; ${forwarding}`);
  machine.takeCalls();
}
