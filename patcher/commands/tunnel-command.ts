import { isDeepStrictEqual } from 'node:util';
import { type Command, Option } from 'commander';
import { printJson } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { printable } from '../../platform/printable.ts';
import { printFields } from '../report.ts';
import { tunnelSteps } from '../setup/all-steps.ts';
import { withPair } from '../setup/pair.ts';
import { type SetupConfig, type TransportChoice, transports } from '../setup/setup-config.ts';
import { type SetupRecord, withStep } from '../setup/setup-record.ts';
import type { SetupContext } from '../setup/setup-step.ts';
import { switchTransport } from '../setup/ssh-tunnel/switch.ts';
import { transportOf } from '../setup/transport-of.ts';
import { type CommandDeps, changing, command } from './command.ts';
import { isYes, openRecord, type SetupOptions, withServer } from './setup-options.ts';
import { pairDeps } from './setup-pair-deps.ts';

/** `tunnel status` and `tunnel use`: what the two machines of a setup speak over. */
export function declareTunnel(program: Command, deps: CommandDeps): void {
  const tunnel = program.command('tunnel').description('what the two machines of a setup speak over, told or changed');
  withHome(
    command(tunnel, 'status', 'tell which tunnels there are, whether they stand, and where Nextcloud asks'),
  ).action((options: SetupOptions) => status(options, deps));
  withHome(
    changing(tunnel, 'use <name>', 'change to wireguard, ssh or both, without a new enrolment; twice changes nothing'),
  )
    .option('--yes', 'ask nothing')
    .addOption(new Option('--dials <end>', 'who dials: the end behind NAT').choices(['home', 'server']))
    .option('--endpoint <host>', 'where the other end finds the dialled one')
    .option('--network <cidr>', 'private network for a new pair; one that is free unless told')
    .action((name: string, options: SetupOptions) => use(choiceOf(name), options, deps));
}

function withHome(one: Command): Command {
  return one
    .option('--config <file>', 'the JSON that was given to setup')
    .option('--home-ssh <user@host[:port]>', 'the machine that keeps the key, when it is not this one')
    .option('--home-sudo', 'become root with sudo there')
    .option('--home-identity <file>', 'private key for ssh to it');
}

function choiceOf(name: string): TransportChoice {
  const found = transports.find((one) => one === name);
  if (found !== undefined) return found;
  throw new LatchkeyError('usage', `"tunnel use" must be told ${transports.join(', ')}, got "${name}"`, { exit: 2 });
}

async function status(given: SetupOptions, deps: CommandDeps): Promise<void> {
  const { config, earlier } = openedSetup(await withServer(given, deps), deps);
  const pair = await pairDeps({ ...given, dryRun: true }, deps, config, { copyPath: '', fromCopy: null });
  await withPair(config, earlier.agreed, pair, async (context) => {
    const tunnels = await Promise.all(
      tunnelSteps(context).map(async (step) => ({ name: step.name, ...(await step.look()) })),
    );
    const { enrolment } = await context.facts();
    if (tunnels.some(({ state }) => state !== 'done')) deps.endWith(1);
    const report = { transport: config.transport, tunnels, urls: enrolment?.urls ?? [] };
    if (given.json === true) return printJson(deps.terminal, report);
    printFields(deps.terminal, [
      ...tunnels.map((one): readonly [string, string] => [
        one.name,
        one.state === 'missing' ? 'not as it should be: run ncpatch setup again' : one.words,
      ]),
      ['nextcloud asks at', report.urls.length === 0 ? 'nowhere: it is not enrolled' : report.urls],
    ]);
  });
}

async function use(transport: TransportChoice, given: SetupOptions, deps: CommandDeps): Promise<void> {
  const options = await withServer(given, deps);
  const { file, config, earlier } = openedSetup(options, deps);
  const pair = await pairDeps(options, deps, config, { copyPath: '', fromCopy: null });
  const told = (changed: boolean, lines: readonly string[]): void => {
    if (options.json === true) printJson(deps.terminal, { transport, changed, lines });
    else for (const line of lines) deps.terminal.stdout.write(`${printable(line)}\n`);
  };
  const work = async (after: SetupContext): Promise<void> => {
    // where a change was cut off, both are there and only one is what was agreed on
    if (config.transport === transport && isDeepStrictEqual(after.agreed, earlier.agreed)) {
      return told(false, [`nothing to do: ${transport} is what they speak over`]);
    }
    if (!(await isWished(config.transport, transport, options, deps))) return;
    const before = { ...after, config, agreed: earlier.agreed };
    let record: SetupRecord = earlier;
    const remember = (agreed: SetupRecord['agreed']): void => {
      const now = transportOf(agreed);
      const { wireguard: _, 'ssh-tunnel': __, ...others } = record.steps;
      record = { ...record, config: { ...config, transport: now }, agreed, steps: others };
      for (const { name } of tunnelSteps({ ...after, config: { ...config, transport: now }, agreed })) {
        record = withStep(record, name, 'done', deps.now());
      }
      file.write(record);
    };
    told(true, await switchTransport({ before, after, tunnels: tunnelSteps, remember }));
  };
  await file.alone(() => withPair({ ...config, transport }, earlier.agreed, pair, work));
}

/** Where a setup was done from here: as both machines have it, whatever the file says. */
function openedSetup(options: SetupOptions, deps: CommandDeps) {
  const { file, earlier, config: wanted } = openRecord(options, deps);
  if (earlier === null) {
    throw new LatchkeyError('not_set_up', 'no setup of this server was done from this machine', {
      exit: 3,
      hint: 'run: ncpatch setup',
    });
  }
  const config: SetupConfig = { ...wanted, transport: transportOf(earlier.agreed) };
  return { file, earlier, config };
}

async function isWished(
  from: TransportChoice,
  to: TransportChoice,
  { yes }: SetupOptions,
  { prompter }: CommandDeps,
): Promise<boolean> {
  if (yes === true) return true;
  if (prompter === null) {
    throw new LatchkeyError('no_terminal', 'there is no terminal to ask at', { exit: 2, hint: 'give --yes' });
  }
  return isYes(prompter, `change from ${from} to ${to}? [yes/no]`);
}
