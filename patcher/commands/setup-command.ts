import { join } from 'node:path';
import type { Command } from 'commander';
import { printJson } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { makePrivateFolder, writeFileAtomic } from '../../platform/files.ts';
import type { Facts } from '../facts.ts';
import { caFingerprint } from '../keys/enroll.ts';
import { refuseObstacles } from '../obstacles.ts';
import { planFor } from '../plan.ts';
import { progressOn } from '../progress.ts';
import { allSteps } from '../setup/all-steps.ts';
import { serverWords, withPair } from '../setup/pair.ts';
import { recoverySheet } from '../setup/recovery-sheet.ts';
import { describeSteps, refuseAhead, runSteps, type StepReport } from '../setup/run-steps.ts';
import { settledTransport } from '../setup/settled-transport.ts';
import type { MachineChoice, SetupConfig } from '../setup/setup-config.ts';
import { type RecordFile, type SetupRecord, withStep } from '../setup/setup-record.ts';
import type { SetupContext, SetupStep } from '../setup/setup-step.ts';
import type { DoctorVerdict } from '../setup/steps/doctor-step.ts';
import { type SetupOutcome, summaryLines } from '../setup/summary.ts';
import type { Transport } from '../transports/transport.ts';
import { hookOption } from './changing.ts';
import { type CommandDeps, changing } from './command.ts';
import { toldWhenInterrupted } from './interrupted.ts';
import {
  isYes,
  type OpenedRecord,
  openRecord,
  type SetupOptions,
  saysTransport,
  withServer,
  withSetupOptions,
} from './setup-options.ts';
import { pairDeps } from './setup-pair-deps.ts';
import { declareTeardown } from './teardown-command.ts';

/** `setup` and `teardown`: both machines, from one command. */
export function declareSetup(program: Command, deps: CommandDeps): void {
  withSetupOptions(
    changing(
      program,
      'setup',
      'from nothing to a moved key: tunnel, key server, app, enrolment, move; asks before each',
    )
      .addOption(hookOption())
      .option('--dry-run', 'only show what would be done'),
  ).action((options: SetupOptions) => setup(options, deps));
  declareTeardown(program, deps);
}

async function setup(given: SetupOptions, deps: CommandDeps): Promise<void> {
  const options = await withServer(given, deps);
  const { file, earlier, config: wanted } = openRecord(options, deps);
  const config = settledTransport(wanted, saysTransport(options), earlier);
  refuseUnanswerable(config, options, deps);
  const copyPath = config.escrow.copy ?? join(config.folder ?? file.folder, 'owner-copy.json');
  const pair = await pairDeps(options, deps, config, { copyPath, fromCopy: null });
  const work = async (context: SetupContext): Promise<void> => {
    refuseObstacles(planFor(await introduced(context), context.app, config.hook).obstacles);
    let verdict: DoctorVerdict | null = null;
    const steps = allSteps(context, (told) => {
      verdict = told;
    });
    if (options.dryRun === true) return await showSteps(steps, config, options, deps);
    const reports = await carryOut(steps, context, { file, earlier }, options, deps);
    await finish(context, file, reports, verdict, options, deps);
  };
  const tell = (): void => {
    deps.terminal.stderr.write('\nstopped in the middle: the same command looks at what is there, and goes on\n');
  };
  await file.alone(() =>
    toldWhenInterrupted(deps.interrupts, tell, () => withPair(config, earlier?.agreed ?? null, pair, work)),
  );
}

/** Which Nextcloud it is that all of this is about. */
async function introduced({ facts, progress, nextcloud }: SetupContext): Promise<Facts> {
  progress.step(`look at the Nextcloud in ${nextcloud.instance.root}`);
  const found = await facts();
  progress.note(`Nextcloud ${found.version.versionString}, instance ${found.instanceId}`);
  return found;
}

/** What nobody will be there to answer is refused before anything is done. */
function refuseUnanswerable(config: SetupConfig, { yes, dryRun }: SetupOptions, { prompter }: CommandDeps): void {
  if (dryRun === true) return;
  if (yes !== true && prompter === null) {
    throw new LatchkeyError('no_terminal', 'there is no terminal to ask at before each step', {
      exit: 2,
      hint: 'give --yes to have all of it done, or --dry-run to see it',
    });
  }
  const { passphraseFile } = config.escrow;
  if (config.skip.includes('escrow') || passphraseFile !== undefined || prompter !== null) return;
  throw new LatchkeyError(
    'setup_invalid',
    '"escrow.passphraseFile" must name the passphrase of your copy of the keys',
    {
      exit: 2,
      field: 'escrow.passphraseFile',
      hint: 'a file with mode 0600; or leave the move out: "skip": ["escrow"]',
    },
  );
}

async function showSteps(
  steps: readonly SetupStep[],
  config: SetupConfig,
  options: SetupOptions,
  { terminal }: CommandDeps,
): Promise<void> {
  const wanted = steps.filter(({ name }) => !config.skip.some((one) => one === name));
  if (options.json === true) {
    return printJson(terminal, { dryRun: true, config, steps: await describeSteps(wanted) });
  }
  const marks = { missing: 'to do', done: 'in place', impossible: 'IMPOSSIBLE' };
  const shown = progressOn(terminal.stdout);
  const looked = (count: number): void => shown.portion?.(count, wanted.length, 'steps looked at');
  let count = 0;
  looked(count);
  await describeSteps(wanted, ({ name, title, state, lines }) => {
    shown.step(`${name} (${marks[state]}): ${title}`);
    for (const line of lines) shown.note(line);
    count += 1;
    looked(count);
  });
  shown.portionsEnd?.();
}

async function carryOut(
  steps: readonly SetupStep[],
  context: SetupContext,
  { file, earlier }: Pick<OpenedRecord, 'file' | 'earlier'>,
  options: SetupOptions,
  { prompter, now }: CommandDeps,
): Promise<readonly StepReport[]> {
  context.progress.step('look what is at home already');
  const isSkipped = (name: string): boolean => context.config.skip.some((one) => one === name);
  await refuseAhead(
    steps.filter(({ name }) => !isSkipped(name)),
    earlier === null,
  );
  let record: SetupRecord = {
    version: 1,
    config: context.config,
    agreed: context.agreed,
    steps: earlier?.steps ?? {},
  };
  file.write(record);
  return runSteps(steps, {
    progress: context.progress,
    remember: (name, state) => {
      record = withStep(record, name, state, now());
      file.write(record);
    },
    allowed: async ({ name }) => {
      if (isSkipped(name)) return false;
      // it changes nothing
      if (options.yes === true || prompter === null || name === 'doctor') return true;
      return isYes(prompter, 'do this? [yes/no/quit]');
    },
  });
}

async function finish(
  context: SetupContext,
  record: RecordFile,
  steps: readonly StepReport[],
  doctor: DoctorVerdict | null,
  options: SetupOptions,
  deps: CommandDeps,
): Promise<void> {
  const { config, agreed, copyPath } = context;
  const folder = config.folder ?? record.folder;
  context.progress.step('write the summary and the recovery sheet');
  const facts = await context.facts();
  const outcome: SetupOutcome = {
    ...{ steps, agreed, doctor, skipped: config.skip },
    server: await onPaper(context.server, config.server),
    home: await onPaper(context.home.transport, config.home),
    serverWords: serverWords(config),
    nextcloud: { version: facts.version.versionString, root: facts.root, instanceId: facts.instanceId },
    client: config.client,
    clientId: facts.enrolment?.clientId ?? null,
    authority: await authorityOf(context),
    keys: facts.enrolment?.keys ?? [],
    copyPath: (facts.enrolment?.keys ?? []).length === 0 ? null : copyPath,
    sheet: join(folder, 'recovery-sheet.html'),
    at: deps.now(),
  };
  const lines = summaryLines(outcome);
  makePrivateFolder(folder);
  writeFileAtomic(outcome.sheet, recoverySheet(outcome), { mode: 0o600 });
  writeFileAtomic(join(folder, 'summary.txt'), `${lines.join('\n')}\n`, { mode: 0o600 });
  if (doctor?.keysFail === true) deps.endWith(1);
  if (options.json === true) printJson(deps.terminal, outcome);
  else deps.terminal.stdout.write(`\n${lines.join('\n')}\n`);
}

/** What is printed is read elsewhere, where "this machine" is another one. */
async function onPaper(machine: Transport, { local }: MachineChoice): Promise<string> {
  if (local !== true) return machine.label;
  const name = (await machine.run(['uname', '-n'])).stdout.toString('utf8').trim();
  return name === '' ? machine.label : `${machine.label} (${name})`;
}

async function authorityOf({ home, agreed }: SetupContext): Promise<string | null> {
  const { exit, stdout } = await home.transport.run(['cat', `${agreed.keyServer.data}/ca.pem`]);
  return exit === 0 ? caFingerprint(stdout.toString('utf8')) : null;
}
