import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readAudit } from '../../platform/audit-chain.ts';
import type { Clock, RandomBytes } from '../../platform/clock.ts';
import { isLatchkeyError } from '../../platform/errors.ts';
import { networksFor } from '../../platform/listening/networks.ts';
import { addClient, type Invitation } from '../clients/client-admin.ts';
import { findNewestRelease, NextcloudInstance, phpObstacle, type Release } from './nextcloud-instance.ts';
import type { Scene } from './scene.ts';
import type { ThrowAwayServer } from './throw-away-server.ts';

const appSource = fileURLToPath(new URL('../../php-app', import.meta.url));
const appId = 'remotekeystorage';
const text = 'written before the key moved\n';

interface Deps {
  readonly server: ThrowAwayServer;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Told before each longer piece of work. */
  readonly onWork: (what: string) => void;
}

/**
 * The same with a real Nextcloud, when there is PHP and a release (LATCHKEY_NEXTCLOUD_DIR, by default
 * `~/.cache/latchkey/nextcloud`). Everything it makes lies in the server's throw-away folder: the app is laid in and
 * used by occ directly, where `ncpatch` would also set up the machine.
 */
export async function nextcloudScene(deps: Deps): Promise<Scene> {
  const release = findNewestRelease(
    deps.env.LATCHKEY_NEXTCLOUD_DIR ?? join(homedir(), '.cache', 'latchkey', 'nextcloud'),
  );
  const obstacle = release === null ? 'no release in LATCHKEY_NEXTCLOUD_DIR' : await phpObstacle();
  if (release === null || obstacle !== null) return skipped(obstacle ?? '');
  try {
    return await play(release, deps);
  } catch (error) {
    if (isLatchkeyError(error)) return skipped(error.message);
    throw error;
  }
}

async function play(release: Release, deps: Deps): Promise<Scene> {
  const { random, server } = deps;
  deps.onWork(`installing Nextcloud ${release.version} for a moment`);
  const base = join(server.folder, 'nextcloud');
  const nextcloud = await NextcloudInstance.install(release, base, random(12).toString('hex'));
  await nextcloud.occ(['files:put', '-', 'admin/files/note.txt'], text);
  const before = nextcloud.privateKeysOnDisk();

  deps.onWork('laying in the app, enrolling, moving the keys');
  await nextcloud.addApp(appSource, appId);
  const { clientId, code, grant } = await invite(deps);
  const order = { url: server.url, code, ca: server.data.ca };
  await nextcloud.remoteKey(['remotekey:enroll', `--dir=${nextcloud.stateFolder}`], order);
  await nextcloud.remoteKey(['remotekey:escrow', '--stage=store'], { grant });
  await nextcloud.remoteKey(['remotekey:escrow', '--stage=prove']);
  await nextcloud.remoteKey(['remotekey:escrow', '--stage=remove']);
  const after = nextcloud.privateKeysOnDisk();
  const read = (await nextcloud.occ(['files:get', 'admin/files/note.txt', '-'])).toString('utf8');
  const verified = await nextcloud.remoteKey(['remotekey:verify']);
  const released = await countReleases(server, clientId);
  return {
    step: 'nextcloud',
    title: `the same with a real Nextcloud ${release.version}`,
    lines: [
      { label: 'before', text: `on its disk: ${before.join(', ')}` },
      {
        label: 'after',
        text: after.length === 0 ? 'no private key on its disk' : `still there: ${after.join(', ')}`,
        tone: 'good',
      },
      { label: 'a file', text: read === text ? 'decrypts as before' : 'does not read the same', tone: 'good' },
      {
        label: 'verify',
        text: `${String(verified.verdict ?? '')}, key released in ${String(verified.ms ?? '?')} ms`,
        tone: 'good',
      },
      { label: 'audit', text: `${released} releases to ${clientId}` },
    ],
    data: { version: release.version, clientId, before, after, sameText: read === text, verified, releases: released },
  };
}

function skipped(reason: string): Scene {
  return {
    step: 'nextcloud',
    title: 'the same with a real Nextcloud',
    lines: [{ label: 'left out', text: reason, tone: 'quiet' }],
    data: { skipped: reason },
  };
}

function invite({ server, clock, random }: Deps): Promise<Invitation> {
  const networks = networksFor(undefined, server.data.config.listen.host);
  const wanted = { name: 'nextcloud', networks, basic: false, escrow: true };
  return server.data.store.transaction((tx) => addClient(tx, wanted, clock.now(), random));
}

async function countReleases(server: ThrowAwayServer, clientId: string): Promise<number> {
  const rows = await server.data.store.read(async (tx) => readAudit(tx, 0, 1000));
  const records = rows.map((row) => JSON.parse(row.body) as { event: string; client?: string });
  return records.filter((record) => record.event === 'key_released' && record.client === clientId).length;
}
