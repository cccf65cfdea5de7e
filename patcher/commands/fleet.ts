import { type Command, CommanderError } from 'commander';
import { printJson, printTable } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { chooseHosts, type HostWish } from '../fleet/host-choice.ts';
import { exitOf, type HostResult } from '../fleet/host-result.ts';
import type { Host } from '../fleet/inventory.ts';
import { defaultInventory, readInventory } from '../fleet/inventory-file.ts';
import { runFleet } from '../fleet/run-fleet.ts';
import type { CommandDeps } from './command.ts';

/** What may be run on many hosts at once. Nothing that takes secrets or that belongs to one server's own ceremony. */
const FLEET_COMMANDS = new Set(['detect', 'plan', 'apply', 'verify', 'status', 'audit', 'doctor', 'watch status']);

/** What the inventory says of each host, and the command line therefore must not. */
const OF_THE_HOST = [
  ...['ssh', 'local', 'sudo', 'identity', 'knownHosts', 'acceptHostKey', 'root', 'php', 'container'],
];
const OF_THE_FLEET = ['inventory', 'all', 'only', 'label', 'parallel', 'deadline', 'json'];

interface FleetOptions extends HostWish {
  readonly inventory?: string;
  readonly parallel?: string;
  readonly deadline?: string;
  readonly json?: boolean;
  readonly ssh?: string;
  readonly local?: boolean;
}

const PARALLEL = 4;
/** `occ upgrade` of a large instance takes half an hour. */
const DEADLINE_SECONDS = 3600;

/**
 * Lets every command of the list, wherever it was declared, run on the hosts of an inventory: this program is started once
 * for each, so that neither their output nor their failures mix.
 */
export function declareFleet(program: Command, deps: CommandDeps): void {
  for (const command of allOf(program)) {
    if (!FLEET_COMMANDS.has(nameOf(command))) continue;
    command.option(
      '--inventory <file>',
      'run on hosts of this inventory; by default latchkey/inventory.json of your configuration',
    );
    if (!command.options.some(({ long }) => long === '--all')) command.option('--all', 'every host of the inventory');
    command
      .option('--only <name,…>', 'these hosts of the inventory')
      .option('--label <label,…>', 'the hosts of the inventory with one of these labels')
      .option('--parallel <n>', `how many hosts at a time; ${PARALLEL} unless told`)
      .option('--deadline <seconds>', `how long one host may take; ${DEADLINE_SECONDS} unless told`);
  }
  program.hook('preAction', async (_, command) => {
    if (!FLEET_COMMANDS.has(nameOf(command)) || !meansFleet(command.opts())) return;
    await runOnHosts(command, deps);
    throw new CommanderError(0, 'ncpatch.fleet', 'done on the hosts of the inventory');
  });
}

function meansFleet(options: FleetOptions): boolean {
  const { inventory, only, label, parallel, deadline, all, ssh, local } = options;
  const named = [inventory, only, label, parallel, deadline].some((value) => value !== undefined);
  // "detect --all" on one machine lists what is there
  return named || (all === true && ssh === undefined && local !== true);
}

async function runOnHosts(command: Command, deps: CommandDeps): Promise<void> {
  const { terminal } = deps;
  const options: FleetOptions = command.opts();
  for (const option of command.options) {
    if (
      OF_THE_HOST.includes(option.attributeName()) &&
      command.getOptionValueSource(option.attributeName()) === 'cli'
    ) {
      throw new LatchkeyError('usage', `"${option.long}" is for one server; the inventory says it of each host`, {
        exit: 2,
        field: option.long ?? '',
      });
    }
  }
  const parallel = wholeNumber(options.parallel, '--parallel', 64) ?? PARALLEL;
  const seconds = wholeNumber(options.deadline, '--deadline', 86_400) ?? DEADLINE_SECONDS;
  const hosts = chooseHosts(readInventory(options.inventory ?? defaultInventory(terminal.env)), options);
  const width = Math.max(...hosts.map(({ name }) => name.length));
  const results = await runFleet({
    hosts,
    command: nameOf(command),
    argv: [...deps.self, ...nameOf(command).split(' '), ...passedOn(command), '--json'],
    parallel,
    deadlineMs: seconds * 1000,
    now: deps.now,
    onLine: (host: Host, line) => void terminal.stderr.write(`${host.name.padEnd(width)}  ${printable(line)}\n`),
  });
  const exit = exitOf(results);
  if (exit !== 0) deps.endWith(exit);
  if (options.json === true) return printJson(terminal, results);
  printResults(results, deps);
}

function printResults(results: readonly HostResult[], { terminal }: CommandDeps): void {
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  printTable(
    terminal,
    ['host', 'outcome', 'time', 'what'],
    results.map(({ host, outcome, ms, what }) => [host, outcome, seconds(ms), printable(what)]),
  );
  const well = results.filter(({ outcome }) => outcome === 'ok').length;
  terminal.stdout.write(`${well} of ${results.length} ok\n`);
}

/** The command's own options and arguments, as they were given; neither those of the fleet nor of a host. */
function passedOn(command: Command): string[] {
  const kept = command.options.filter((option) => !OF_THE_FLEET.includes(option.attributeName()));
  const flags = kept.flatMap((option) => {
    const name = option.attributeName();
    const flag = option.long ?? option.short ?? '';
    if (command.getOptionValueSource(name) !== 'cli') return [];
    const value: unknown = command.getOptionValue(name);
    if (typeof value === 'boolean') return value === !option.negate ? [flag] : [];
    return [value].flat().map((one) => `${flag}=${String(one)}`);
  });
  return [...flags, ...(command.args.length === 0 ? [] : ['--', ...command.args])];
}

function wholeNumber(text: string | undefined, option: string, max: number): number | null {
  if (text === undefined) return null;
  if (/^[1-9][0-9]{0,5}$/.test(text) && Number(text) <= max) return Number(text);
  throw new LatchkeyError('usage', `"${option}" must be a whole number from 1 to ${max}`, { exit: 2, field: option });
}

function nameOf(command: Command): string {
  const above = command.parent;
  return above === null || above.parent === null ? command.name() : `${nameOf(above)} ${command.name()}`;
}

function allOf(command: Command): Command[] {
  return command.commands.flatMap((child) => [child, ...allOf(child)]);
}

/** Servers word some of what is told; none of it may steer the terminal. */
function printable(text: string): string {
  return text.replaceAll(/\p{C}/gu, '?');
}
