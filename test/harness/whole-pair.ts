import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { madeRelease, pinnedNode, tarballOf } from '../packaging/release.ts';
import type { Cleanup } from './cleanup.ts';
import type { NextcloudTree } from './nextcloud-tree.ts';
import type { CloudKind, WholeCloud } from './whole-cloud.ts';
import { WholeMachine } from './whole-machine.ts';
import { WholeNetwork } from './whole-network.ts';
import { lamp } from './whole-nextcloud.ts';

/** What somebody has who comes to Latchkey: a machine at home, a server with a Nextcloud, and SSH from the one to the other. */
export interface WholePair {
  readonly network: WholeNetwork;
  /** Has a release of Latchkey, and its root's key for the server. */
  readonly home: WholeMachine;
  readonly server: WholeMachine;
  readonly cloud: WholeCloud;
  /** For `--ssh`, from home. */
  readonly login: string;
}

/** Builds both and has them up; nothing of Latchkey is on the server. */
export async function buildPair(tree: NextcloudTree, cleanup: Cleanup, kind: CloudKind = lamp): Promise<WholePair> {
  const network = await WholeNetwork.build(cleanup);
  const home = WholeMachine.build('home', { wire: network.home, cleanup });
  const layers = await kind.layers(tree);
  const server = WholeMachine.build('server', { wire: network.server, layers, cleanup });
  await Promise.all([home.boot(), server.boot()]);
  const [cloud] = await Promise.all([kind.install(server, tree), installRelease(home)]);
  await letIn(home, server);
  await introduce(home, server);
  return { network, home, server, cloud, login: `root@${server.address}` };
}

/** As its README says: the tarball, and the script that comes with it. */
export async function installRelease(machine: WholeMachine): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-release-'));
  try {
    const files = madeRelease('0.1.0');
    const tarball = await tarballOf(files, folder);
    machine.write('/usr/local/bin/node', readFileSync(pinnedNode), 0o755);
    machine.write('/root/latchkey-0.1.0.tar.gz', readFileSync(tarball));
    machine.write('/root/install.sh', files.get('install.sh')?.bytes ?? '');
    await machine.command(['sh', '/root/install.sh', '/root/latchkey-0.1.0.tar.gz'], { timeoutMs: 120_000 });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A server that root of the other machine comes into with a key; its host key is not known there yet. */
export async function letIn(home: WholeMachine, server: WholeMachine): Promise<void> {
  await home.sh(
    'mkdir -p /root/.ssh && chmod 700 /root/.ssh && ssh-keygen -q -t ed25519 -N "" -f /root/.ssh/id_ed25519',
  );
  const own = await home.sh('cat /root/.ssh/id_ed25519.pub');
  await server.sh('rm -f /etc/ssh/ssh_host_*; ssh-keygen -q -A; mkdir -p /root/.ssh && chmod 700 /root/.ssh');
  await server.command(['sh', '-c', 'cat >/root/.ssh/authorized_keys'], { input: own });
  await server.sh('systemctl enable --now ssh.service');
}

/** A home that knows the server's host key. */
async function introduce(home: WholeMachine, server: WholeMachine): Promise<void> {
  const host = (await server.sh('cat /etc/ssh/ssh_host_ed25519_key.pub')).split(' ').slice(0, 2).join(' ').trim();
  await home.command(['sh', '-c', 'cat >/root/.ssh/known_hosts'], { input: `${server.address} ${host}\n` });
}
