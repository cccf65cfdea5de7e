import { dirname } from 'node:path';
import { Cleanup } from '../harness/cleanup.ts';
import type { NextcloudTree } from '../harness/nextcloud-tree.ts';
import { snapObstacle } from '../harness/snap-machine.ts';
import type { LifeResult } from './life.ts';
import { EXTRA_APPS, FIRST, SECOND, SnapStory } from './snap-story.ts';
import { NotHere, StepList } from './step-list.ts';
import { assert } from './story.ts';

type Step = (story: SnapStory) => Promise<string | undefined>;

/** Why no such life can be run here, or `null`. */
export const snapLifeObstacle = snapObstacle;

const detect: Step = async (story) => {
  const facts = (await story.ncpatch(['detect'])).json();
  assert(facts.target === 'snap' && facts.root === '/snap/nextcloud/current/htdocs', `found ${facts.target}`);
  const { revision, held } = facts.snap as { revision: string; held: unknown };
  assert(revision === FIRST && held === null, `snap list was read as revision ${revision}, held ${held}`);
  const web = facts.web as { sessionPath: string };
  assert(web.sessionPath === '/tmp/snap-private-tmp/snap.nextcloud/tmp', `sessions in ${web.sessionPath}`);
  const codes = (facts.obstacles as { code: string; blocking: boolean }[]).map(({ code }) => code);
  assert(codes.includes('snap_not_held'), `detect noted ${codes.join(', ')}`);
  return codes.join(', ');
};

const apply: Step = async (story) => {
  await story.ncpatch(['apply']);
  await story.readAll();
  return undefined;
};

const enroll: Step = async (story) => {
  const { url, code } = story.invitation;
  const where = ['--url', url, '--ca', story.own('ca.pem')];
  await story.ncpatch(['enroll', ...where, '--code-file', '-'], { input: `${code}\n` });
  const stat = await story.machine.command(['stat', '-c', '%a %U', story.stateFolder]);
  assert(stat.stdout === '700 root\n', `the state folder is ${stat.stdout}`);
  return undefined;
};

const escrow: Step = async (story) => {
  const before = await story.privateKeys();
  assert(before.length > 0, 'a stock snap has no private key on its disk: the test looks in the wrong place');
  const owner = ['--copy', story.own('copy'), '--copy-passphrase-file', story.own('passphrase')];
  await story.ncpatch(['escrow', ...owner, '--grant-file', '-'], { input: `${story.invitation.grant}\n` });
  const left = await story.privateKeys();
  assert(left.length === 0, `still there: ${left.join(', ')}`);
  return `${before.length} keys moved`;
};

/** The web, as root from the squashfs, with caches that hold nothing yet. */
const use: Step = async (story) => {
  await story.machine.serve();
  await story.readAll();
  await story.write('used.txt');
  return undefined;
};

/** As the timer runs it: the machine's root, the state folder below "common". */
const heartbeat: Step = async (story) => {
  const { machine, instanceId, stateFolder } = story;
  const beat = ['/bin/sh', `/var/lib/latchkey/heartbeat-${instanceId}.sh`, stateFolder, instanceId] as const;
  await machine.command(beat);
  // somebody gave the snap its folder on tmpfs, which occ then caches in
  await machine.command(['mkdir', '-m', '755', '/run/snap.nextcloud']);
  const { exit: known } = await machine.occ(['help', 'files:get'], { anyExit: true });
  if (known === 0) {
    await machine.occ(['files:get', '/admin/files/stock.txt', '-']);
    assert(await machine.has('/run/snap.nextcloud/latchkey-0/*'), 'occ has cached no key on tmpfs');
  }
  await story.keyServer.command(['kill']);
  const told = await machine.command(beat, { anyExit: true });
  assert(told.exit === 4, `a killed client's heartbeat ended with ${told.exit}`);
  assert(!(await machine.has('/run/snap.nextcloud/latchkey-0/*')), 'a key is still cached on tmpfs');
  await story.keyServer.command(['revive']);
  await machine.command(beat);
  return known === 0 ? 'a cached key was dropped' : 'this release has no files:get';
};

/** snapd copies the data, mounts the new code and starts it, which upgrades by itself; the app comes along. */
const refresh: Step = async (story) => {
  const { machine, next } = story;
  await machine.stopServing();
  await machine.command(['snap', 'refresh', 'nextcloud']);
  await machine.serve();
  const status = (await machine.occ(['status', '--output=json'])).stdout;
  assert(status.includes(`"versionstring":"${next.version}"`), `after the refresh: ${status}`);
  await story.readAll();
  const report = (await story.ncpatch(['apply'])).json();
  assert(report.changed === false, `after the refresh apply did ${JSON.stringify(report.done)}`);
  const config = await machine.read('/var/snap/nextcloud/current/nextcloud/config/config.php');
  assert(!config.includes(FIRST), 'config.php names the folder of the old revision');
  const facts = (await story.ncpatch(['detect'])).json();
  const codes = (facts.obstacles as { code: string }[]).map(({ code }) => code);
  assert(codes.includes('snap_keeps_copies'), `the old revision is not told of: ${codes.join(', ')}`);
  await story.write('refreshed.txt');
  await story.readAll();
  story.forget('refreshed.txt'); // the older database that "snap revert" brings back knows nothing of it
  return `to ${next.version}`;
};

/** A refresh comes in while apply is at work: nothing is left half done, and apply does it then. */
const inBetween: Step = async (story) => {
  const { machine, stateFolder } = story;
  const link = await machine.read(`${stateFolder}/link.json`);
  await machine.command(['snap', 'revert', 'nextcloud']);
  assert((await machine.read(`${stateFolder}/link.json`)) === link, 'the revert turned the link back');
  await machine.command(['rm', `${EXTRA_APPS}/remotekeystorage/img/app.svg`]);
  await machine.tell('refresh-at', 'remotekey:verify');
  const cut = await story.ncpatch(['apply'], { anyExit: true });
  assert(
    cut.exit === 1 && cut.stderr.includes(`went from revision ${FIRST} to ${SECOND}`),
    `apply ended with ${cut.exit}: ${cut.stderr}`,
  );
  const current = await machine.command(['readlink', '/var/snap/nextcloud/current']);
  assert(current.stdout === `${SECOND}\n`, 'no refresh came in between');
  assert(!(await machine.has(`${EXTRA_APPS}/.remotekeystorage.*`)), 'something half done lies in extra-apps');
  const report = (await story.ncpatch(['apply'])).json();
  assert(report.changed === true, 'apply found nothing to mend');
  await machine.serve();
  await story.readAll();
  return undefined;
};

/** Older data come back, in which the app is damaged; the link with the key server stays where it is. */
const revert: Step = async (story) => {
  const { machine, tree } = story;
  await machine.stopServing();
  await machine.command(['snap', 'revert', 'nextcloud']);
  const status = (await machine.occ(['status', '--output=json'])).stdout;
  assert(status.includes(`"versionstring":"${tree.version}"`), `after the revert: ${status}`);
  await machine.command(['rm', `${EXTRA_APPS}/remotekeystorage/img/app.svg`]);
  const report = (await story.ncpatch(['apply'])).json();
  assert(report.changed === true, 'apply found nothing to mend');
  await machine.serve();
  await story.readAll();
  return undefined;
};

const stock: Step = async (story) => {
  const { machine } = story;
  await story.keyServer.stop();
  await story.ncpatch(['restore', '--from-copy', story.own('copy'), '--copy-passphrase-file', story.own('passphrase')]);
  await story.ncpatch(['remove']);
  assert((await story.privateKeys()).length > 0, 'no private key came back');
  assert(!(await machine.has(`${EXTRA_APPS}/remotekeystorage`)), 'the app is still there');
  assert(!(await machine.has(dirname(story.stateFolder))), 'the folder of the credentials was left behind');
  await machine.serve();
  await story.readAll();
  return "from the owner's copy, key server off";
};

const steps: readonly (readonly [string, Step])[] = [
  ['install', async (story) => void (await story.install()) as undefined],
  ['key server', async (story) => void (await story.openKeyServer()) as undefined],
  ['detect', detect],
  ['apply', apply],
  ['enroll', enroll],
  ['escrow', escrow],
  ['use', use],
  ['heartbeat', heartbeat],
  ['refresh', refresh],
  ['in between', inBetween],
  ['revert', revert],
  ['stock', stock],
];

/** Names of the steps in their order: the columns of the table. */
export const snapStepNames: readonly string[] = steps.map(([name]) => name);

/**
 * The snap with Latchkey, through a refresh and back, to the day it goes without. Never throws for a step that fails.
 * Without `thorough` what takes longest and is least likely to break alone is left out.
 */
export async function runSnapLife(options: {
  readonly tree: NextcloudTree;
  readonly trees: readonly NextcloudTree[];
  readonly say?: (line: string) => void;
  readonly thorough?: boolean;
}): Promise<LifeResult> {
  const began = performance.now();
  const cleanup = new Cleanup();
  const unguard = cleanup.guard();
  const list = new StepList(options.say ?? (() => undefined));
  let left: string[] = [];
  try {
    const story = new SnapStory(options.tree, options.trees, cleanup);
    const obstacle = snapLifeObstacle();
    for (const [name, step] of steps) {
      if (options.thorough === false && name === 'revert') continue;
      await list.step(name, async () => {
        if (obstacle !== null) throw new NotHere(obstacle);
        return step(story);
      });
    }
  } finally {
    left = await cleanup.run();
    unguard();
  }
  const network = 'a snap in a mount namespace, key server on loopback';
  return {
    version: options.tree.version,
    network,
    steps: list.results,
    ms: Math.round(performance.now() - began),
    left,
  };
}
