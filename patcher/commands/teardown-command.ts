import type { Command } from 'commander';
import { printJson } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import type { Facts } from '../facts.ts';
import { progressOn } from '../progress.ts';
import { printFields } from '../report.ts';
import { rollback } from '../rollback.ts';
import { allSteps } from '../setup/all-steps.ts';
import { refuseUnreturned } from '../setup/keys-come-back.ts';
import { withPair } from '../setup/pair.ts';
import { parseSetup, type SetupConfig } from '../setup/setup-config.ts';
import type { RecordFile, SetupRecord } from '../setup/setup-record.ts';
import type { SetupContext } from '../setup/setup-step.ts';
import { describeRemoval, type RemovalPlan, removeJournal, takeAllAway } from '../setup/teardown.ts';
import { transportOf } from '../setup/transport-of.ts';
import { type CommandDeps, changing } from './command.ts';
import { toldWhenInterrupted } from './interrupted.ts';
import { isYes, openRecord, type SetupOptions, withServer, withSetupOptions } from './setup-options.ts';
import { pairDeps } from './setup-pair-deps.ts';

interface TeardownOptions extends SetupOptions {
  readonly fromCopy?: string;
  readonly purge?: boolean;
}

/** `teardown`. */
export function declareTeardown(program: Command, deps: CommandDeps): void {
  withSetupOptions(
    changing(program, 'teardown', 'take all of a setup back; a stock Nextcloud that reads its files is left')
      .option('--from-copy <file>', "bring the keys back from the owner's copy, instead of the key server")
      .option('--purge', 'the data directory of the key server goes too, with the keys in it')
      .option('--dry-run', 'only show what would be taken away'),
  ).action((options: TeardownOptions) => teardown(options, deps));
}

async function teardown(given: TeardownOptions, deps: CommandDeps): Promise<void> {
  const options = await withServer(given, deps);
  const { file, earlier, config: wanted } = openRecord(options, deps);
  const config = earlier === null ? wanted : asItWas(wanted, earlier);
  if (earlier === null) {
    deps.terminal.stderr.write('there is no record of a setup of this server here: what is said now is gone by\n');
  }
  const pair = await pairDeps(options, deps, config, { copyPath: '', fromCopy: options.fromCopy ?? null });
  const work = async (context: SetupContext): Promise<void> => {
    const { progress } = context;
    progress.step('look what of a setup is there');
    // what is at home under the same names is another Nextcloud's then
    const isStrange = earlier === null && options.purge !== true && isUntouched(await context.facts());
    const steps = allSteps(context, () => undefined);
    const plans = isStrange ? [] : await describeRemoval(steps, progress);
    const isNothing = plans.length === 0 && options.purge !== true;
    if (!isNothing) await refuseUnreturned(context);
    const isForgotten = isNothing && earlier !== null && options.dryRun !== true;
    // an earlier one was cut off at its very end
    if (isForgotten) await forget(context, file);
    if (isNothing || options.dryRun === true) return show(plans, options, deps);
    if (!(await mayTakeAway(plans, options, deps))) return;
    const left = await takeAllAway(steps, { purge: options.purge === true }, progress);
    progress.step('look whether all of it is gone');
    const remaining = (await describeRemoval(steps, progress)).flatMap(({ lines }) => lines);
    if (remaining.length > 0) throw notAll(remaining);
    await forget(context, file);
    if (options.json === true) return printJson(deps.terminal, { takenAway: plans, left });
    deps.terminal.stdout.write('taken back: a stock Nextcloud is left\n');
    if (left.length > 0) printFields(deps.terminal, [['told', left]]);
  };
  const tell = (): void => {
    deps.terminal.stderr.write('\nstopped in the middle: the same command looks at what is there, and goes on\n');
  };
  await file.alone(() =>
    toldWhenInterrupted(deps.interrupts, tell, () => withPair(config, earlier?.agreed ?? null, pair, work)),
  );
}

/** What was written down of a setup and of changes on the server, once nothing of them is there. */
async function forget({ nextcloud, journal, server, facts }: SetupContext, file: RecordFile): Promise<void> {
  const { outcome } = await rollback(nextcloud, journal);
  if (outcome === 'undone') throw notAll(['what an interrupted run had begun on the server was put back']);
  await removeJournal(server, (await facts()).instanceId);
  file.forget();
}

/** What was set up is what is taken away, whatever a file says by now; how the machines are reached may have changed. */
function asItWas(wanted: SetupConfig, { config, agreed }: SetupRecord): SetupConfig {
  const { server, home, escrow } = wanted;
  return { ...parseSetup(config, '/'), server, home, escrow, transport: transportOf(agreed) };
}

function notAll(lines: readonly string[]): LatchkeyError {
  return new LatchkeyError('teardown_incomplete', `not all of it is gone: ${lines.join('; ')}`, {
    hint: 'the same command again goes on with it',
  });
}

/** Nothing on the server says that this Nextcloud was ever set up. */
function isUntouched({ app, enrolment, stateFolder }: Facts): boolean {
  return enrolment === null && app.files === null && app.installedVersion === null && !stateFolder.exists;
}

function show(plans: readonly RemovalPlan[], options: TeardownOptions, { terminal }: CommandDeps): void {
  if (options.json === true) printJson(terminal, { dryRun: options.dryRun === true, steps: plans });
  else if (plans.length === 0) terminal.stdout.write('nothing to do: nothing of a setup is there\n');
  else {
    const { step } = progressOn(terminal.stdout);
    for (const { lines } of plans) for (const line of lines) step(line);
  }
}

async function mayTakeAway(
  plans: readonly RemovalPlan[],
  options: TeardownOptions,
  { prompter, terminal }: CommandDeps,
): Promise<boolean> {
  if (options.yes === true) return true;
  if (prompter === null) {
    const hint = 'give --yes, or --dry-run';
    throw new LatchkeyError('no_terminal', 'there is no terminal to ask at', { exit: 2, hint });
  }
  const { note } = progressOn(terminal.stderr);
  for (const { lines } of plans) for (const line of lines) note(line);
  const isWished = await isYes(prompter, 'take all of this back? [yes/no]');
  if (!isWished) terminal.stderr.write('nothing was changed\n');
  return isWished;
}
