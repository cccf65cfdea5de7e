import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { undoers } from '../../../patcher/actions/undoers.ts';
import type { Facts, HookName } from '../../../patcher/facts.ts';
import { withCore } from '../../../patcher/hooks/core-facts.ts';
import { coreObstacles, coreSteps } from '../../../patcher/hooks/core-plan.ts';
import { coreActions, coreUndoers } from '../../../patcher/hooks/core-steps.ts';
import { type Journal, openJournal } from '../../../patcher/journal/journal.ts';
import type { Instance } from '../../../patcher/targets/target.ts';
import { parseVersionFile } from '../../../patcher/targets/version-file.ts';
import { openLocalTransport } from '../../../patcher/transports/local-transport.ts';
import { run } from '../../../platform/run.ts';
import { exampleFacts } from '../example-facts.ts';

/*
 * Runs inside a pretended machine with a release of Nextcloud on squashfs at /snap/nextcloud/{1,2}: what ncpatch does there for
 * the hook `core`, with real actions and a real journal. Prints what came of it, one JSON value. PHP is this machine's.
 */
const root = '/snap/nextcloud/current/htdocs';
const server = `${root}/lib/private/Server.php`;
const transport = await openLocalTransport({ prompter: null });
const instance = {
  target: 'snap',
  root,
  files: transport,
  machine: transport,
  runPhp: (args, given) => transport.run(['php', ...args], given),
} as Instance;

const sha = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

async function facts(hook: HookName | null): Promise<Facts> {
  const version = parseVersionFile(readFileSync(`${root}/version.php`, 'utf8'));
  const given = exampleFacts({
    root,
    version,
    scheduler: 'systemd',
    target: 'snap',
    ...(hook === null ? {} : { hook }),
  });
  return withCore(instance, given, hook, new Date());
}

async function journal(): Promise<Journal> {
  return openJournal({
    context: { transport, machine: transport, occ: null },
    directory: '/var/lib/latchkey/ncpatch/test',
    by: { user: 'root', machine: 'test', pid: process.pid, process: 'test' } as never,
    now: () => Date.now(),
    randomId: () => createHash('sha256').update(String(Math.random())).digest('hex').slice(0, 16),
    undoers: [...undoers, ...coreUndoers],
  });
}

/** What the steps are, without the value in config.php, which needs an occ. */
async function steps(asked: HookName, remembered: HookName | null) {
  const now = await facts(remembered ?? asked);
  const list = coreSteps(now, asked).filter(({ kind }) => kind !== 'remember_hook');
  return { list, state: now.core?.state, blocks: coreObstacles(now, asked).filter((one) => one.blocking) };
}

async function stateOf(): Promise<{ state: string | undefined; again: number }> {
  const { state, list } = await steps('core', 'core');
  return { state, again: list.length };
}

/** One transaction; undone when `cut` says so, else committed. */
async function carryOut(asked: HookName, remembered: HookName | null, cut = false): Promise<string[]> {
  const { list } = await steps(asked, remembered);
  const open = await journal();
  const done: string[] = [];
  try {
    await open.begin('apply');
    for (const action of list.flatMap((step) => coreActions(step, instance.runPhp))) {
      if ((await open.perform(action)) === 'done') done.push(action.describe());
    }
    if (cut) await open.rollback();
    else await open.commit();
  } finally {
    await open.close();
  }
  return done;
}

/** What is left of us outside of the journal. */
function traces(): string[] {
  const units = readdirSync('/etc/systemd/system').filter((name) => name.includes('latchkey-core'));
  const kept = readdirSync('/var/lib/latchkey').filter((name) => name.includes('core-'));
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes('Server.php'));
  return [...units, ...kept, ...mounts];
}

const original = sha(server);
const before = await steps('core', null);
const rolledBack = await carryOut('core', null, true);
const afterRollback = { same: sha(server) === original, traces: traces() };
const done = await carryOut('core', null);
const covered = await stateOf();
const php = await transport.run(['php', '-l', server]);

await run(['ln', '-sfn', '2', '/snap/nextcloud/current'], { timeoutMs: 5_000 });
const follow = '/etc/systemd/system/latchkey-core-again-oc1234567890.service';
const command = /^ExecStart=(.*)$/m.exec(readFileSync(follow, 'utf8'))?.[1] ?? '';
const again = await transport.run(['sh', '-c', command]);
const refreshed = {
  exit: again.exit,
  state: (await steps('core', 'core')).state,
  first: sha(server.replace('current', '1')),
};
const doneAgain = await carryOut('core', 'core');
const coveredAgain = await stateOf();

await carryOut('app', 'core');
const removed = {
  traces: traces(),
  state: (await steps('core', null)).state,
  gone: !existsSync('/var/lib/latchkey/core-oc1234567890'),
};
await transport.close();
process.stdout.write(
  JSON.stringify({
    original,
    before: { state: before.state, kinds: before.list.map(({ kind }) => kind), blocks: before.blocks },
    rolledBack: rolledBack.length,
    afterRollback,
    done,
    covered,
    php: php.exit,
    refreshed,
    doneAgain,
    coveredAgain,
    removed,
  }),
);
