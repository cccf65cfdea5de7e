import type { Command } from 'commander';
import { printJson } from '../../platform/command-line.ts';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import { readLocalApp } from '../app-files.ts';
import { type ExaminationDeps, examine, type GroupReport, tally } from '../doctor/examination.ts';
import { GROUPS, type Group } from '../doctor/finding.ts';
import { GROUP_NAMES, pageLines } from '../doctor/page.ts';
import { admit, admitStranger, type Patient } from '../doctor/patient.ts';
import { actionFor, mend, repairsOf } from '../doctor/repairs.ts';
import { describeActions } from '../planned-changes.ts';
import { progressOn } from '../progress.ts';
import { chooseInstance, findInstances } from '../targets/instance-choice.ts';
import { connect, openWorkplace, type Workplace } from '../workplace.ts';
import { columnsOf } from '../wrapped.ts';
import { type CommandDeps, type CommonOptions, changing, journalDeps } from './command.ts';

interface DoctorOptions extends CommonOptions {
  readonly fix?: boolean;
  readonly group?: readonly string[];
  /** commander's form of `--no-release`. */
  readonly release?: boolean;
}

/** `doctor`. */
export function declareDoctor(program: Command, deps: CommandDeps): void {
  changing(program, 'doctor', 'look at all that keys depend on, and tell on one page what is not as it should be')
    .option(
      '--group <name>',
      `only this: ${GROUP_NAMES}; may be given again`,
      (name, all: string[]) => [...all, name],
      [],
    )
    .option('--no-release', 'leave the key server alone: no release is tried')
    .option('--fix', 'mend what can be mended safely, as one transaction, and look again')
    .option('--dry-run', 'with --fix: only show what would be done')
    .action((options: DoctorOptions) => runDoctor(options, deps));
}

async function runDoctor(options: DoctorOptions, deps: CommandDeps): Promise<void> {
  const groups = groupsIn(options.group ?? []);
  const app = await readLocalApp(deps.appFolder);
  const around = { prompter: deps.prompter, env: deps.terminal.env };
  let place: Workplace;
  try {
    place = await openWorkplace(options, around);
  } catch (error) {
    if (options.fix === true || !isLatchkeyError(error) || !MAY_BE_LOOKED_AT.has(error.code)) throw error;
    return await lookAtStranger(options, deps, error, { groups, app });
  }
  try {
    const examination = examinationDeps(options, deps, app);
    const look = async (only: readonly Group[]): Promise<[Patient, GroupReport[]]> => {
      const patient = await admit(place.instance, () => place.facts());
      return [patient, await examine(patient, examination, only)];
    };
    const [patient, reports] = await look(groups);
    if (options.fix !== true) return print(options, deps, patient, reports, null);
    const actions = repairsOf(reports).map(actionFor);
    if (options.dryRun === true) return await printPlan(options, deps, place, actions);
    if (place.instance.machine.user.uid !== 0) {
      throw new LatchkeyError('not_root', 'the account on the server is not root', {
        exit: 3,
        hint: 'connect as root, or add --sudo for an account with sudo',
      });
    }
    if (actions.length === 0) return print(options, deps, patient, reports, []);
    const done = await mend(place, reports, async (again) => (await look(again))[1], journalDeps(options, deps));
    const [after, mended] = await look(groups);
    print(options, deps, after, mended, done);
  } finally {
    await place.close();
  }
}

/** A Nextcloud was found, but not one that can be worked on; what can be seen of it is told all the same. */
const MAY_BE_LOOKED_AT = new Set(['not_installed', 'owner_unknown', 'permission_denied', 'target_failed']);

async function lookAtStranger(
  options: DoctorOptions,
  deps: CommandDeps,
  trouble: LatchkeyError,
  { groups, app }: { readonly groups: readonly Group[]; readonly app: ExaminationDeps['app'] },
): Promise<void> {
  const transport = await connect(options, { prompter: deps.prompter, env: deps.terminal.env });
  try {
    const { target, sighting } = chooseInstance(await findInstances(transport, options.root), options.root);
    const patient = await admitStranger(transport, { ...sighting, target: target.name }, trouble);
    const reports = await examine(patient, examinationDeps(options, deps, app), groups);
    print(options, deps, patient, reports, null);
  } finally {
    await transport.close();
  }
}

function examinationDeps(options: DoctorOptions, deps: CommandDeps, app: ExaminationDeps['app']): ExaminationDeps {
  const progress = progressOn(deps.terminal.stderr);
  return { app, now: deps.now, progress, askKeyServer: options.release !== false };
}

function groupsIn(names: readonly string[]): readonly Group[] {
  const wanted = names.flatMap((name) => name.split(','));
  for (const name of wanted) {
    if (GROUPS.some((group) => group === name)) continue;
    throw new LatchkeyError('invalid_request', `"--group" must be one of ${GROUP_NAMES}`, {
      exit: 2,
      field: '--group',
    });
  }
  return wanted.length === 0 ? GROUPS : GROUPS.filter((group) => wanted.includes(group));
}

function print(
  options: DoctorOptions,
  deps: CommandDeps,
  patient: Patient,
  reports: readonly GroupReport[],
  done: readonly string[] | null,
): void {
  const { terminal } = deps;
  const counts = tally(reports);
  if (counts.bad > 0) deps.endWith(1);
  const { facts, root, target } = patient;
  if (options.json === true) {
    const groups = reports.map(({ group, findings }) => ({
      group,
      findings: findings.map(({ repair, ...finding }) => ({ ...finding, fixable: repair !== null })),
    }));
    const nextcloud = { target, root, version: facts?.version.versionString ?? null, instanceId: patient.instanceId };
    printJson(terminal, {
      nextcloud,
      healthy: counts.bad === 0,
      counts,
      groups,
      ...(done === null ? {} : { done }),
    });
    return;
  }
  const version = facts === null ? 'nextcloud' : `nextcloud ${facts.version.versionString}`;
  const time = new Date(deps.now()).toISOString().slice(0, 16).replace('T', ' ');
  const heading = [`${version} (${target}), ${patient.machine.label}, ${time} UTC`, root];
  const colour = terminal.stdout.isTTY === true && terminal.env.NO_COLOR === undefined;
  const page = pageLines(reports, { colour, heading, width: columnsOf(terminal.stdout) });
  terminal.stdout.write(`${page.join('\n')}\n`);
  if (done?.length === 0) terminal.stdout.write('there was nothing to mend by itself\n');
  else if (done !== null) terminal.stdout.write(`mended: ${done.length}\n`);
}

async function printPlan(
  options: DoctorOptions,
  deps: CommandDeps,
  place: Workplace,
  actions: Parameters<typeof describeActions>[1],
): Promise<void> {
  const changes = await describeActions(place, actions);
  if (options.json === true) return printJson(deps.terminal, { dryRun: true, changes });
  if (changes.length === 0) deps.terminal.stdout.write('there is nothing to mend by itself\n');
  for (const { what, diff } of changes) deps.terminal.stdout.write(`[#] ${what}\n${diff}`);
}
