import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type InstallerValues, installerText } from '../../wireguard/installers/render.ts';
import { BackgroundProcess } from '../harness/background-process.ts';
import type { Cleanup } from '../harness/cleanup.ts';
import type { HubNetwork } from '../harness/hub-network.ts';
import { InstallerMachine } from '../harness/installer-machine.ts';
import type { Distribution } from '../harness/installer-stand-ins.ts';
import { makeKey } from '../harness/sshd.ts';
import { statusStandalone, versions } from './proxmox-samples.ts';

const PROXMOX: Distribution = {
  release: 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\n',
  manager: 'apt-get',
  init: 'systemd',
};

/** What is below /etc/pve, by path, and what `pvecm status` prints; that fails when it is not told. */
export interface NodeFacts {
  readonly files?: Readonly<Record<string, string>>;
  readonly status?: string;
}

/** A machine that takes itself for a node of Proxmox VE: its programs are stand-ins, and nobody can write to /etc/pve. */
export async function proxmoxNode(
  network: HubNetwork,
  name: string,
  host: number,
  facts: NodeFacts = {},
): Promise<InstallerMachine> {
  const node = await InstallerMachine.build(await network.machine(name, host), PROXMOX, ['wireguard-tools']);
  node.program('pveversion', `#!/bin/sh\necho '${versions[0][1]}'\n`);
  node.program('pvecm', '#!/bin/sh\n[ "$*" = status ] || exit 255\n. /run/stand-in/pvecm-status\n');
  node.folder('/etc/pve');
  await tell(node, facts);
  return node;
}

/** Replaces everything that the node knows of itself. */
export async function tell(node: InstallerMachine, { files = {}, status }: NodeFacts): Promise<void> {
  await node.command('sh', '-c', 'umount /etc/pve 2>/dev/null; mount -t tmpfs pve /etc/pve');
  for (const [path, text] of Object.entries(files)) node.write(`/etc/pve/${path}`, text);
  await node.command('mount', '-o', 'remount,ro', '/etc/pve');
  const fails = `cat >&2 <<'WORDS'\n${statusStandalone}WORDS\nexit 2\n`;
  node.write('/run/stand-in/pvecm-status', status === undefined ? fails : `cat <<'WORDS'\n${status}WORDS\n`);
}

/** `.members` as the cluster file system of a node writes it; `nodes` are names with addresses. */
export function membersFile(
  own: string,
  nodes: Readonly<Record<string, string>>,
  { down = [], quorate = true }: { readonly down?: readonly string[]; readonly quorate?: boolean } = {},
): string {
  const names = Object.keys(nodes);
  const lines = names.map((name, at) => {
    return `  "${name}": { "id": ${at + 1}, "online": ${down.includes(name) ? 0 : 1}, "ip": "${nodes[name]}"}`;
  });
  const cluster = `{ "name": "homelab", "version": 3, "nodes": ${names.length}, "quorate": ${quorate ? 1 : 0} }`;
  return `{\n"nodename": "${own}",\n"version": 5,\n"cluster": ${cluster},\n"nodelist": {\n${lines.join(',\n')}\n  }\n}\n`;
}

/** The script of a hub at `hubUrl`, for a tunnel that no other machine has. */
export function scriptFor(hubUrl: string, more: Partial<InstallerValues> = {}): string {
  const usual = { hubPin: '', token: 'T'.repeat(43), spokeId: 'spoke-1', spokeName: 'pve1', hubName: 'hub' };
  return installerText('proxmox', { hubUrl, ...usual, tunnel: 'lkp0', members: 0, ...more });
}

/** The SSH that the nodes of a cluster have among them: root of each may log in on every other, and knows its host key. */
export class ClusterSsh {
  readonly #folder = mkdtempSync(join(tmpdir(), 'lk-cluster-ssh-'));
  readonly #cleanup: Cleanup;
  readonly #key: string;
  readonly #authorized: string;

  constructor(cleanup: Cleanup) {
    this.#cleanup = cleanup;
    cleanup.add(this.#folder, () => rmSync(this.#folder, { recursive: true }));
    [this.#key, this.#authorized] = this.#makeKey('root');
  }

  /** Gives root of this node the key of the cluster. */
  allow(node: InstallerMachine): void {
    node.write('/root/.ssh/id_ed25519', this.#key, 0o600);
  }

  /** Has a node take logins; what others know it by, as in /etc/pve/nodes/NAME/ssh_known_hosts. */
  async serve(node: InstallerMachine, name: string): Promise<string> {
    const [key, known] = this.#makeKey(name);
    const place = '/run/cluster-ssh';
    node.write(`${place}/host_key`, key, 0o600);
    node.write(`${place}/authorized`, this.#authorized);
    node.folder('/run/sshd');
    const lines = [
      `HostKey ${place}/host_key`,
      `AuthorizedKeysFile ${place}/authorized`,
      'ListenAddress 0.0.0.0:22',
      'SetEnv SHLVL=1', // keeps bash from reading a .bashrc of this system
      'PidFile none',
      'StrictModes no',
      'PermitRootLogin yes',
      'PasswordAuthentication no',
      'UsePAM no',
      '',
    ];
    node.write(`${place}/config`, lines.join('\n'));
    const sshd = await BackgroundProcess.start(node.inside(['/usr/sbin/sshd', '-D', '-e', '-f', `${place}/config`]), {
      readyWhen: /Server listening on/,
    });
    this.#cleanup.add(`sshd of ${name}`, () => sshd.stop());
    return `${name} ${known}`;
  }

  #makeKey(name: string): [string, string] {
    const file = join(this.#folder, name);
    makeKey(file, 'ed25519');
    return [readFileSync(file, 'utf8'), readFileSync(`${file}.pub`, 'utf8')];
  }
}
