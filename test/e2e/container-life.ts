import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { timerPaths } from '../../patcher/heartbeat-timer.ts';
import { createSecretFile } from '../../platform/files.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { containerHostObstacle } from '../harness/container-host.ts';
import { ContainerNextcloud, namesIn } from '../harness/container-nextcloud.ts';
import { freePort } from '../harness/free-port.ts';
import { type Invitation, KeyServer } from '../harness/keyserver-process.ts';
import { instanceObstacle } from '../harness/nextcloud-instance.ts';
import { type NextcloudTree, nextTree } from '../harness/nextcloud-tree.ts';
import { sshdMissing, startSshd } from '../harness/sshd.ts';
import { filesWith, privateKeyFiles, privateKeyMarks } from './key-files.ts';
import type { LifeResult } from './life.ts';
import { NotHere, StepList } from './step-list.ts';
import { assert } from './story.ts';

/** Why no life in a container can be run here, or `null`. */
export function containerLifeObstacle(): string | null {
  return instanceObstacle() ?? containerHostObstacle() ?? sshdMissing();
}

interface Story {
  readonly cloud: ContainerNextcloud;
  readonly isAio: boolean;
  readonly keyServer: KeyServer;
  readonly invitation: Invitation;
  /** The administrator's own files. */
  readonly folder: string;
  readonly cleanup: Cleanup;
  readonly next: { readonly tree: NextcloudTree; readonly allowed: boolean } | null;
  /** A stretch of each private key, to look for on the disk. */
  readonly marks: readonly string[];
}

type Step = (story: Story) => Promise<string | undefined>;

const HOOK = '90-latchkey.sh';
const VOLUME = { name: 'latchkey', destination: '/var/lib/latchkey' } as const;

interface Seen {
  readonly code: string;
  readonly blocking: boolean;
}

/** Found beside a container that only runs its background jobs, and over SSH too. */
const detect: Step = async ({ cloud, cleanup, isAio }) => {
  await cloud.host.start({
    name: 'cloud-cron',
    image: `nextcloud:${cloud.tree.version}-fpm`,
    command: ['/cron.sh'],
    mounts: cloud.mounts,
    system: 'debian',
  });
  await cloud.host.start({ name: 'db', image: 'postgres:17', system: 'none' });
  const listed = (await cloud.ncpatch(['detect', '--all'])).json() as { container?: string; root: string }[];
  const inside = listed.filter(({ container }) => container !== undefined);
  assert(inside.length === 1 && inside[0]?.container === cloud.name, `found ${JSON.stringify(listed)}`);
  const sshd = await startSshd({ config: [`SetEnv SHLVL=1 PATH=${cloud.host.path}`] });
  cleanup.add('sshd', () => sshd.stop());
  const where = ['--ssh', `root@${sshd.address}:${sshd.port}`, '--identity', sshd.identity];
  const far = await cloud.ncpatch(['detect'], { where: [...where, '--known-hosts', sshd.knownHosts] });
  const { container, web, root } = far.facts as Record<string, Record<string, unknown>>;
  assert(
    (root as unknown) === '/var/www/html' && container?.kind === (isAio ? 'aio' : 'official'),
    `found ${JSON.stringify(container)}`,
  );
  assert(
    web?.sapi === 'fpm' && web.exceptionArgsIgnored === false,
    `the image's PHP was read as ${JSON.stringify(web)}`,
  );
  const codes = far.facts.obstacles as Seen[];
  const missing = codes.some(({ code, blocking }) => code === 'state_would_vanish' && blocking);
  assert(missing !== isAio, `what would be lost was told as ${JSON.stringify(codes)}`);
  for (const code of [
    'exception_args_logged',
    'opcache_slow',
    'sessions_on_disk',
    isAio ? 'aio_disables_apps' : 'companion_without_state',
  ]) {
    assert(
      codes.some((seen) => seen.code === code && !seen.blocking),
      `${code} was not noted`,
    );
  }
  await cloud.host.remove('cloud-cron');
  return codes.map(({ code }) => code).join(', ');
};

/** Nothing of ours may be put where the next container would be without it. */
const refuse: Step = async ({ cloud, isAio }) => {
  if (isAio) throw new NotHere('the enrolment has a place beside the data');
  const refused = await cloud.ncpatch(['apply'], { anyExit: true });
  assert(refused.exit === 3 && refused.stderr.includes('-v latchkey:/var/lib/latchkey'), refused.stderr);
  assert(namesIn(join(cloud.root, 'custom_apps')).length === 0, 'the app was put there all the same');
  return undefined;
};

/** With the volume that was asked for, and a folder for scripts of the entry point. */
const apply: Step = async ({ cloud, isAio }) => {
  const hooks = cloud.host.volume('hooks');
  mkdirSync(join(hooks, 'post-upgrade'), { recursive: true });
  if (!isAio) {
    cloud.mounts.push({ ...VOLUME, source: cloud.host.volume('latchkey') });
    cloud.mounts.push({ source: hooks, destination: '/docker-entrypoint-hooks.d' });
    await cloud.recreate();
  }
  await cloud.ncpatch(['apply']);
  const again = await cloud.ncpatch(['apply']);
  assert(again.facts.changed === false, `a second apply did ${JSON.stringify(again.facts.done)}`);
  assert(namesIn(join(hooks, 'post-upgrade')).join() === (isAio ? '' : HOOK), 'the entry point has no script');
  await cloud.runEntryHooks('post-upgrade'); // must not fail a start
  assert((await cloud.read('first.txt')) === 'first', 'the file does not open');
  return undefined;
};

const enroll: Step = async ({ cloud, invitation, folder }) => {
  const where = ['--url', invitation.url, '--ca', join(folder, 'ca.pem'), '--code-file', '-'];
  await cloud.ncpatch(['enroll', ...where], { input: `${invitation.code}\n` });
  const state = statSync(cloud.stateFolder);
  assert(
    (state.mode & 0o777) === 0o700 && state.uid === 33,
    `the state folder is ${state.mode.toString(8)} of ${state.uid}`,
  );
  return undefined;
};

const escrow: Step = async ({ cloud, invitation, folder, marks }) => {
  const owner = ['--copy', join(folder, 'copy'), '--copy-passphrase-file', join(folder, 'passphrase')];
  await cloud.ncpatch(['escrow', ...owner, '--grant-file', '-'], { input: `${invitation.grant}\n` });
  assert(privateKeyFiles(cloud.dataFolder).length === 0, 'a private key is still in the volume');
  const places = [cloud.root, join(cloud.host.base, 'volumes'), `/var/lib/latchkey/ncpatch/${cloud.instanceId}`];
  const found = filesWith(marks, places);
  assert(found.length === 0, `a private key lies in ${found.join(', ')}`);
  await cloud.write('away.txt', 'written with the key away');
  assert(cloud.raw('away.txt').subarray(0, 6).toString() === 'HBEGIN', 'the file is not encrypted');
  return `${marks.length} keys moved`;
};

/** cron's line as it stands, run by the machine: into the container, and to the key server. */
const heartbeat: Step = async ({ cloud, keyServer }) => {
  const beat = await cloud.beat();
  assert(beat.exit === 0, `the heartbeat ended with ${beat.exit}: ${beat.said}`);
  const record = join(cloud.stateFolder, 'heartbeat.json');
  assert(readFileSync(record, 'utf8').includes('"code":"ok"'), readFileSync(record, 'utf8'));
  await keyServer.command(['kill']);
  const refused = await cloud.beat();
  assert(refused.exit === 4, `the heartbeat of a client that was shut out ended with ${refused.exit}`);
  await keyServer.command(['revive']);
  assert((await cloud.beat()).exit === 0, 'the heartbeat does not come back');
  return undefined;
};

/** Another id, other code; what lies in volumes is all that stays. */
const upgrade: Step = async ({ cloud, next, isAio }) => {
  if (next?.allowed !== true) throw new NotHere('no newer release here that this one may go to');
  await cloud.occ(['app:disable', 'remotekeystorage']);
  await cloud.upgradeImage(next.tree);
  const enabled = await cloud.occ(['config:app:get', 'remotekeystorage', 'enabled']);
  assert(enabled.trim() === (isAio ? 'no' : 'yes'), 'the script of the entry point did not switch the app on again');
  const report = (await cloud.ncpatch(['apply'])).facts as { verification?: { release?: unknown } };
  assert(typeof report.verification?.release === 'object', 'apply made no release');
  assert((await cloud.read('away.txt')) === 'written with the key away', 'the file does not open');
  const beat = await cloud.beat();
  assert(beat.exit === 0, `the heartbeat does not find the new container: ${beat.said}`);
  return `to ${next.tree.version}`;
};

/** As AIO leaves it after each of its updates. */
const switchedOff: Step = async ({ cloud, next }) => {
  if (next?.allowed === true) throw new NotHere('the upgrade has shown it');
  await cloud.occ(['app:disable', 'remotekeystorage']);
  const report = (await cloud.ncpatch(['apply', '--container', cloud.name])).facts;
  assert(report.changed === true, 'apply found nothing to mend');
  assert((await cloud.read('away.txt')) === 'written with the key away', 'the file does not open');
  return undefined;
};

const paused: Step = async ({ cloud }) => {
  cloud.host.setStatus(cloud.name, 'paused');
  const refused = await cloud.ncpatch(['apply'], { anyExit: true });
  assert(refused.exit === 1 && refused.stderr.includes(`docker unpause ${cloud.name}`), refused.stderr);
  cloud.host.setStatus(cloud.name, 'running');
  return undefined;
};

const stock: Step = async ({ cloud, keyServer, folder }) => {
  await keyServer.stop();
  const copy = ['--from-copy', join(folder, 'copy'), '--copy-passphrase-file', join(folder, 'passphrase')];
  await cloud.ncpatch(['restore', ...copy]);
  await cloud.ncpatch(['remove']);
  assert(!existsSync(join(cloud.root, 'custom_apps/remotekeystorage')), 'the app is still there');
  assert(
    namesIn(join(cloud.host.volume('hooks'), 'post-upgrade')).length === 0,
    'the script of the entry point stayed',
  );
  assert(!existsSync(cloud.stateFolder), 'the enrolment stayed in its volume');
  const left = timerPaths(cloud.instanceId).filter((path) => existsSync(path));
  assert(left.length === 0, `the heartbeat stayed: ${left.join(', ')}`);
  await cloud.recreate();
  assert((await cloud.read('away.txt')) === 'written with the key away', 'the file does not open without us');
  return "from the owner's copy, key server off";
};

const steps: readonly (readonly [string, Step])[] = [
  ['detect', detect],
  ['refuse', refuse],
  ['apply', apply],
  ['enroll', enroll],
  ['escrow', escrow],
  ['heartbeat', heartbeat],
  ['upgrade', upgrade],
  ['switched off', switchedOff],
  ['paused', paused],
  ['stock', stock],
];

/** One Nextcloud in a container of the official layout, with a stand-in for docker, from installation to stock again. */
export async function runContainerLife(options: LifeOptions): Promise<LifeResult> {
  return live(options, false);
}

/** The same in the layout and under the names of AIO, which has no place for scripts and none for the enrolment but the data. */
export async function runAioLife(options: LifeOptions): Promise<LifeResult> {
  return live(options, true);
}

interface LifeOptions {
  readonly tree: NextcloudTree;
  readonly trees: readonly NextcloudTree[];
  readonly say?: (line: string) => void;
}

async function live(options: LifeOptions, isAio: boolean): Promise<LifeResult> {
  const { tree, trees } = options;
  const began = performance.now();
  const cleanup = new Cleanup();
  const unguard = cleanup.guard();
  const list = new StepList(options.say ?? (() => undefined));
  const story: Partial<Story> = { cleanup, isAio, next: nextTree(tree, trees) };
  let left: string[] = [];
  try {
    await list.step('install', async () => {
      Object.assign(story, await install(tree, cleanup, isAio));
      return undefined;
    });
    for (const [name, step] of steps) await list.step(name, () => step(story as Story));
  } finally {
    left = await cleanup.run();
    unguard();
  }
  const ms = Math.round(performance.now() - began);
  return { version: tree.version, network: 'loopback, a stand-in for docker', steps: list.results, ms, left };
}

async function install(
  tree: NextcloudTree,
  cleanup: Cleanup,
  isAio: boolean,
): Promise<Omit<Story, 'cleanup' | 'next' | 'isAio'>> {
  const folder = mkdtempSync(join(tmpdir(), `latchkey-life-${process.pid}-`));
  cleanup.add(folder, () => rmSync(folder, { recursive: true, force: true }));
  const keyServer = await KeyServer.init({ data: join(folder, 'keyserver'), port: await freePort(), cleanup });
  await keyServer.start();
  const invitation = await keyServer.addClient('cloud', ['--from', '127.0.0.1/32']);
  writeFileSync(join(folder, 'ca.pem'), invitation.ca);
  createSecretFile(join(folder, 'passphrase'), `${randomBytes(18).toString('base64url')}\n`);
  const cloud = await ContainerNextcloud.install(tree, cleanup, isAio);
  await cloud.write('first.txt', 'first');
  const marks = privateKeyMarks(cloud.dataFolder);
  assert(marks.length > 0, 'a stock instance has no private key on its disk: the test looks in the wrong place');
  return { cloud, keyServer, invitation, folder, marks };
}
