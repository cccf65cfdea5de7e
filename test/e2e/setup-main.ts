import { printJson, printTable, runProgram } from '../../platform/command-line.ts';
import { parseInteger } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { listTrees } from '../harness/nextcloud-tree.ts';
import { sweepStale } from '../harness/stale.ts';
import { KINDS } from './setup-kinds.ts';
import { SetupStory, storyObstacle } from './setup-story.ts';

interface Options {
  readonly transport: 'wireguard' | 'ssh';
  readonly nextcloud: string;
  readonly hour?: boolean;
  readonly down: string;
  readonly json?: boolean;
}

const terminal = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, env: process.env };
const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** Everything that cuts the two machines off from each other, once, and how long each time it takes until files open again. */
async function play(story: SetupStory, { transport, hour, down }: Options): Promise<void> {
  const seconds = hour === true ? 3_600 : parseInteger(down, '--down', { min: 1, max: 86_400 });
  if (transport === 'ssh') await story.pair.network.setUdp(false);
  story.configure({ transport });
  await story.tidy();
  say(`setting up, by ${transport}`);
  expectWell('setup', await story.setup());
  const acts: readonly (readonly [words: string, act: () => Promise<void>])[] = [
    ['the server loses its power', () => story.serverLosesPower()],
    ['the machine at home loses its power', () => story.homeLosesPower()],
    ['both lose their power', () => story.bothLosePower()],
    ['the provider gives the home another address', () => story.homeMoves()],
    [`the line is down for ${seconds} s`, () => story.lineIsDown(seconds)],
  ];
  for (const [words, act] of acts) {
    say(words);
    await act();
  }
  expectNone('wrong files', await story.wrongFiles());
  expectNone('keys on the server', story.keysOnServer());
  say('taking all of it back');
  expectWell('teardown', await story.teardown('--purge'));
  await story.forgetKeys();
  expectNone('wrong files', await story.wrongFiles());
  expectNone('left', story.leftovers());
}

function expectWell(what: string, { exit, stderr }: { readonly exit: number; readonly stderr: string }): void {
  if (exit !== 0) throw new LatchkeyError('story_failed', `${what} ended with ${exit}:\n${stderr}`);
}

function expectNone(what: string, lines: readonly string[]): void {
  if (lines.length > 0) throw new LatchkeyError('story_failed', `${what}:\n${lines.join('\n')}`);
}

async function run(options: Options): Promise<void> {
  const tree = listTrees().at(-1);
  const kind = KINDS.find(({ name }) => name === options.nextcloud);
  if (kind === undefined) {
    const names = KINDS.map(({ name }) => name).join(', ');
    throw new LatchkeyError('usage', `"--nextcloud" must be one of ${names}, got "${options.nextcloud}"`, { exit: 2 });
  }
  const obstacle = storyObstacle(tree, kind);
  if (obstacle !== null || tree === undefined) {
    throw new LatchkeyError('unfit', `two whole machines cannot be had here: ${obstacle}`, { exit: 3 });
  }
  for (const swept of await sweepStale()) say(`removed ${swept}, left by a test that was killed`);
  const cleanup = new Cleanup();
  const unguard = cleanup.guard();
  try {
    say(`building two machines, with a Nextcloud ${tree.version} (${kind.name})`);
    const story = await SetupStory.begin(tree, cleanup, kind);
    await play(story, options).finally(() => show(story, options));
  } finally {
    for (const left of await cleanup.run()) say(`not cleaned up: ${left}`);
    unguard();
  }
}

function show({ returns }: SetupStory, { transport, nextcloud, json }: Options): void {
  const rows = returns.map(({ what, ms }) => [what, `${(ms / 1000).toFixed(1)} s`]);
  if (json === true) printJson(terminal, { transport, nextcloud, returns });
  else printTable(terminal, ['what happened', 'files opened again after'], rows);
}

const code = await runProgram(
  'setup-story',
  (program) =>
    program
      .description('sets up two whole machines, cuts them off from each other in every way, and takes all of it back')
      .option('--transport <name>', 'wireguard, or ssh with a router that lets no UDP through', 'wireguard')
      .option('--nextcloud <kind>', 'how it is installed: lamp, snap or container', 'lamp')
      .option('--down <seconds>', "how long the home's line is down", '30')
      .option('--hour', "the home's line is down for an hour")
      .option('--json', 'print JSON for programs')
      .action((options: Options) => run(options)),
  process.argv.slice(2),
  terminal,
);
if (code !== 0) process.exitCode = code;
