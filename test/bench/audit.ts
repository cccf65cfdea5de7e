import { readdirSync, readFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { printTable } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { run } from '../../platform/run.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { projectProgram } from '../harness/keyserver-process.ts';
import { instanceObstacle, NextcloudInstance } from '../harness/nextcloud-instance.ts';
import { listTrees, treesFolder } from '../harness/nextcloud-tree.ts';
import { startSlowLine } from '../harness/slow-line.ts';
import { sshdMissing, startSshd, type TestSshd } from '../harness/sshd.ts';
import { sweepStale } from '../harness/stale.ts';

/** Each contestant once a round, and the order turns by one each time. */
const ROUNDS = 3;
/** 1 MBit/s. */
const SLOW = 125_000;
const ways = ['local', 'ssh', 'core', 'apps'] as const;
type Way = (typeof ways)[number];

const WORDS: Readonly<Record<Way, string>> = {
  local: 'ncpatch audit --local',
  ssh: 'ncpatch audit --ssh, loopback',
  core: 'occ integrity:check-core',
  apps: 'occ integrity:check-app of every shipped app',
};

type Contest = Readonly<Record<Way, () => Promise<void>>>;

/** Runs the real program and takes its findings for an answer: copies of releases lack a few files. */
async function audit(root: string, argv: readonly string[]): Promise<void> {
  const command = [...projectProgram('patcher/main.ts'), 'audit', '--root', root, '--json', ...argv];
  const answer = await run(command as [string, ...string[]], {
    timeoutMs: 600_000,
    allowExit: [1],
    maxBytes: 64 << 20,
  });
  const { files, verified } = JSON.parse(answer.stdout.toString('utf8')) as { files: number; verified: string[] };
  if (files < 20_000 || verified.length < 50) throw new Error(`${files} files, ${verified.length} signed lists`);
}

function overSsh(sshd: TestSshd, port: number): string[] {
  const trust = port === sshd.port ? ['--known-hosts', sshd.knownHosts] : ['--known-hosts', join(sshd.folder, 'slow')];
  return [
    ...['--ssh', `root@127.0.0.1:${port}`, '--identity', sshd.identity, ...trust],
    ...['--accept-host-key', sshd.fingerprint],
  ];
}

function contest(instance: NextcloudInstance, sshd: TestSshd): Contest {
  const { root } = instance;
  const shipped = JSON.parse(readFileSync(join(root, 'core/shipped.json'), 'utf8')) as { shippedApps: string[] };
  const apps = readdirSync(join(root, 'apps')).filter((id) => shipped.shippedApps.includes(id));
  const check = async (argv: readonly string[]): Promise<void> => {
    await instance.occ(argv, { anyExit: true, timeoutMs: 600_000 });
  };
  return {
    local: () => audit(root, ['--local']),
    ssh: () => audit(root, overSsh(sshd, sshd.port)),
    core: () => check(['integrity:check-core']),
    apps: async () => {
      for (const id of apps) await check(['integrity:check-app', id]);
    },
  };
}

async function seconds(work: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

function median(list: readonly number[]): number {
  return [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? Number.NaN;
}

async function measure(contestants: Contest, say: (text: string) => void): Promise<Readonly<Record<Way, number[]>>> {
  const samples: Record<Way, number[]> = { local: [], ssh: [], core: [], apps: [] };
  await contestants.local(); // the files come from the disk's cache from here on, for everybody
  for (let round = 0; round < ROUNDS; round += 1) {
    for (let turn = 0; turn < ways.length; turn += 1) {
      const way = ways[(turn + round) % ways.length] ?? 'local';
      samples[way].push(await seconds(contestants[way]));
    }
    say(`round ${round + 1}: ${ways.map((way) => `${way} ${samples[way].at(-1)?.toFixed(1)} s`).join(', ')}`);
  }
  return samples;
}

/** One audit over a slow line: how long, and how many bytes came. */
async function overSlowLine(
  root: string,
  sshd: TestSshd,
): Promise<{ readonly seconds: number; readonly bytes: number }> {
  const line = await startSlowLine(sshd.port, SLOW);
  try {
    return { seconds: await seconds(() => audit(root, overSsh(sshd, line.port))), bytes: line.received() };
  } finally {
    await line.close();
  }
}

async function machine(version: string): Promise<string> {
  const php = (await run(['php', '-r', 'echo PHP_VERSION;'], { timeoutMs: 10_000 })).stdout.toString();
  const cores = `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'})`;
  return `Nextcloud ${version}, ${cores}, PHP ${php}, load ${loadavg()[0]?.toFixed(2)} before the run`;
}

/**
 * `npm run bench -- audit`: one real Nextcloud, whose code ncpatch audits, here and over a real sshd, and which checks itself
 * with occ, in turn; then once more over a line of 1 MBit/s.
 */
export async function benchAudit(json: boolean): Promise<void> {
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  const tree = listTrees().at(-1);
  const obstacle =
    tree === undefined ? `there is no release in ${treesFolder()}` : (instanceObstacle() ?? sshdMissing());
  if (tree === undefined || obstacle !== null) {
    throw new LatchkeyError('cannot_run', obstacle ?? '', { hint: 'npm run test:nextcloud -- --download 33.0.1' });
  }
  await sweepStale();
  const cleanup = new Cleanup();
  const unguard = cleanup.guard();
  try {
    const words = await machine(tree.version);
    say(words);
    const instance = await NextcloudInstance.install(tree, { cleanup });
    const sshd = await startSshd();
    cleanup.add('sshd', () => sshd.stop());
    const samples = await measure(contest(instance, sshd), say);
    const slow = await overSlowLine(instance.root, sshd);
    const medians = Object.fromEntries(ways.map((way) => [way, median(samples[way])])) as Record<Way, number>;
    const itself = medians.core + medians.apps;
    const ratios = { local: itself / medians.local, ssh: itself / medians.ssh };
    const isMet = ratios.local > 1 && ratios.ssh > 1;
    if (!isMet) process.exitCode = 1;
    if (json) {
      process.stdout.write(`${JSON.stringify({ machine: words, samples, medians, ratios, slow, met: isMet })}\n`);
      return;
    }
    const rows = ways.map((way) => {
      const ratio = way === 'local' || way === 'ssh' ? ratios[way].toFixed(1) : '';
      return [WORDS[way], medians[way].toFixed(1), ratio];
    });
    printTable(process, ['what', 'median s', 'times faster than both checks of occ'], rows);
    say(`over 1 MBit/s: ${slow.seconds.toFixed(0)} s, ${(slow.bytes / 1e6).toFixed(2)} MB came`);
    say(`faster than occ: ${isMet ? 'met' : 'MISSED'}`);
  } finally {
    for (const failure of await cleanup.run()) say(`not cleaned up: ${failure}`);
    unguard();
  }
}
