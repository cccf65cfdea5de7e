import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { timerPaths, timerUnit } from '../../patcher/heartbeat-timer.ts';
import { run } from '../../platform/run.ts';
import type { Cleanup } from '../harness/cleanup.ts';
import { freePort } from '../harness/free-port.ts';
import { KeyServer } from '../harness/keyserver-process.ts';
import { buildTunnel, type Tunnel, tunnelObstacle } from '../harness/namespaces.ts';
import { Ncpatch } from '../harness/ncpatch-process.ts';
import { NextcloudInstance } from '../harness/nextcloud-instance.ts';
import type { NextcloudTree } from '../harness/nextcloud-tree.ts';
import { loopback, type Place } from '../harness/place.ts';
import { hasProgram } from '../harness/programs.ts';
import { sshdMissing, startSshd } from '../harness/sshd.ts';

/** The two machines of a life, and what joins them. */
export interface World {
  /** Where the key server stands, and the administrator who runs ncpatch. */
  readonly home: Place;
  readonly cloud: Place;
  /** `null` when both are this machine on loopback; `words` says why then. */
  readonly tunnel: Tunnel | null;
  readonly words: string;
  /** For the administrator's own files: copies, certificates, passphrases. */
  readonly folder: string;
}

export async function buildWorld(cleanup: Cleanup): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), `latchkey-life-${process.pid}-`));
  cleanup.add(folder, () => rmSync(folder, { recursive: true, force: true }));
  const obstacle = tunnelObstacle();
  if (obstacle !== null)
    return { home: loopback, cloud: loopback, tunnel: null, words: `loopback (${obstacle})`, folder };
  const tunnel = await buildTunnel(cleanup);
  return { home: tunnel.keyServer, cloud: tunnel.nextcloud, tunnel, words: 'WireGuard between two namespaces', folder };
}

/** Everything of one life once it has been set up. */
export interface Cast {
  readonly nextcloud: NextcloudInstance;
  readonly keyServer: KeyServer;
  readonly ncpatch: Ncpatch;
  readonly stateFolder: string;
}

/** What ncpatch puts outside of the instance goes away with the life, also when `ncpatch remove` was never reached. */
async function removeTraces(instanceId: string): Promise<void> {
  if (!/^oc[a-z0-9]{10}$/.test(instanceId)) return;
  const files = timerPaths(instanceId);
  if (hasProgram('systemctl')) {
    await run(['systemctl', 'disable', '--now', timerUnit(instanceId)], { timeoutMs: 20_000, allowExit: 'any' });
  }
  for (const path of files) rmSync(path, { force: true });
  for (const path of [`/var/lib/latchkey/${instanceId}`, `/var/lib/latchkey/ncpatch/${instanceId}`]) {
    rmSync(path, { recursive: true, force: true });
  }
}

export async function installNextcloud(
  world: World,
  tree: NextcloudTree,
  cleanup: Cleanup,
): Promise<NextcloudInstance> {
  const nextcloud = await NextcloudInstance.install(tree, { cleanup, place: world.cloud });
  cleanup.add('traces of ncpatch', () => removeTraces(nextcloud.instanceId));
  return nextcloud;
}

/** A new key server, serving, and an sshd on the Nextcloud's side that ncpatch can log in to. */
export async function openShop(world: World, nextcloud: NextcloudInstance, cleanup: Cleanup): Promise<Cast> {
  cleanup.add('programs still running', () => world.tunnel?.endProcesses());
  const missing = sshdMissing();
  if (missing !== null) throw new Error(missing);
  const port = world.tunnel === null ? await freePort() : 8443;
  const keyServer = await KeyServer.init({ data: join(world.folder, 'keyserver'), port, place: world.home, cleanup });
  await keyServer.start();
  const [nothing, ...wrap] = world.cloud.inside(['true']).toReversed();
  if (nothing !== 'true') throw new Error('a place must put the command last');
  const sshd = await startSshd({ address: world.cloud.address, wrap: wrap.toReversed() });
  cleanup.add('sshd', () => sshd.stop());
  const ncpatch = new Ncpatch({ place: world.home, home: world.folder, sshd, root: nextcloud.root });
  const stateFolder = `/var/lib/latchkey/${nextcloud.instanceId}`;
  return { nextcloud, keyServer, ncpatch, stateFolder };
}
