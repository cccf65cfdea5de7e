import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { type Command, Option } from 'commander';
import type { CommandIo } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { type CheckDecision, decideCheck } from './check.ts';
import { alertNotice } from './check-alert.ts';
import type { AlertTeller } from './check-channel.ts';
import { faultWords } from './check-fault.ts';
import { handOver } from './check-handover.ts';
import { askKeyserver } from './check-keyserver.ts';
import { sightOf } from './check-look.ts';
import { type CheckOptions, type CheckOrder, checkOrder } from './check-order.ts';
import { PLUGIN_EXIT, pluginAnswer } from './check-plugin.ts';
import { addCheckPrintCommand } from './check-print.ts';
import { restartInterface } from './check-restart.ts';
import { aloneWithState, NO_CHECK_YET, readCheckState, writeCheckState } from './check-state.ts';
import { addCheckTryCommand } from './check-try.ts';

const STATE_FILE = `${process.platform === 'darwin' ? '/var/db' : '/var/lib'}/latchkey-node/check.json`;

/** `check`: one round, and `check print`, for which what `check` is told holds too. */
export function addCheckCommand(program: Command, io: CommandIo): void {
  const command = program
    .command('check')
    .description(
      'look once at the tunnel, restart it when it is down, and tell somebody when it is silent; for a timer',
    )
    .option('--interface <name...>', 'interfaces that are to be there')
    .option('--keyserver <url...>', 'key servers that are to answer, such as https://10.8.0.1:8443')
    .option('--ca <file>', 'PEM file of the authority that their certificates are of')
    .option('--warning <seconds>', 'a handshake of this age is late', '180')
    .option('--critical <seconds>', 'a handshake of this age is stale', '300')
    .option('--each-peer', 'every peer is to be heard, not just one of an interface')
    .option('--no-restart', 'leave an interface that is down to others')
    .option('--bad-rounds <count>', 'so many bad rounds in a row before somebody is told', '3')
    .option('--good-rounds <count>', 'so many good rounds in a row before it is over', '2')
    .option('--alert-command <words>', 'program that is given each alert as JSON; split at spaces, without a shell')
    .option('--alert-channel <file...>', 'files, 0600, of ways by which alerts go out: ntfy, a webhook, mail …')
    .option('--state <file>', 'what one round leaves to the next', STATE_FILE)
    .addOption(
      new Option(
        '--nagios',
        'answer as a plugin of Nagios or Icinga does; nothing is restarted, told or kept',
      ).conflicts('json'),
    )
    .option('--json', 'print JSON for programs')
    .action((options: CheckOptions) => (options.nagios === true ? plugin(options, io) : check(options, io)));
  addCheckPrintCommand(command, io);
  addCheckTryCommand(command, io);
}

/** The key servers first: what is sent to them has an idle tunnel shake hands. */
async function look({ interfaces, keyservers }: CheckOrder, ca: string | null, now: () => number) {
  const asked = await Promise.all(keyservers.map(async (url) => ({ url, fault: await askKeyserver(url, ca) })));
  return { interfaces: await sightOf(interfaces, now()), keyservers: asked };
}

function readAuthority(path: string | undefined): string | null {
  if (path === undefined) return null;
  try {
    const text = readFileSync(path, 'utf8');
    if (new X509Certificate(text).subject !== undefined) return text;
  } catch {
    // told below, whatever it was
  }
  throw new LatchkeyError('usage', `"--ca" must be a PEM file that can be read, got ${path}`, {
    exit: 2,
    field: '--ca',
  });
}

async function check(options: CheckOptions, io: CommandIo): Promise<void> {
  const order = checkOrder(options);
  const ca = readAuthority(options.ca);
  await aloneWithState(options.state, () => round(options, order, ca, io));
}

async function round(
  options: CheckOptions,
  order: CheckOrder,
  ca: string | null,
  { clock, terminal }: CommandIo,
): Promise<void> {
  const note = (text: string): void => void terminal.stderr.write(`${text}\n`);
  const before = readCheckState(options.state, () =>
    note(`wgnode: hint: ${options.state} was damaged; it starts anew`),
  );
  const sight = await look(order, ca, clock.now.bind(clock));
  const decision = decideCheck(before, sight, order.rules, clock.now());
  const { waiting } = decision.state;
  writeCheckState(options.state, decision.state);
  const restarts: Restarted[] = [];
  for (const name of decision.restart) restarts.push(await restarted(name, note)); // one at a time: they share name servers and rules
  const host = hostname();
  const { left, failures, dropped } = await handOver(waiting, order.tellers, host, {
    now: clock.now.bind(clock),
    keep: (kept) => writeCheckState(options.state, { ...decision.state, waiting: [...kept] }),
  });
  const undelivered = left.length;
  if (undelivered + failures.length > 0) {
    const why = failures.length === 0 ? 'they wait' : failures.map(faultWords).join(', ');
    note(`wgnode: hint: ${why}; alerts that are tried again: ${undelivered}`);
  }
  for (const { to, said } of dropped)
    note(`wgnode: hint: ${to} did not take an alert for a day, it is dropped: ${said}`);
  const unfit = order.tellers.flatMap(faultOf);
  for (const fault of unfit) note(`wgnode: hint: a way out for alerts cannot be used: ${fault}`);
  const { findings, notices } = decision;
  if (options.json === true) {
    const told = notices.map((notice) => ({ version: 1, ...alertNotice(notice, host) }));
    printJson(terminal, { host, findings, restarts, told, undelivered, unfit });
  } else printRound(decision, restarts, (line) => void terminal.stdout.write(`${line}\n`));
  if (findings.every(({ level }) => level === 'ok') && undelivered + unfit.length === 0) return;
  throw new LatchkeyError('degraded', 'not all is well', { extra: { told: true } });
}

interface Restarted {
  readonly interface: string;
  /** `null` when it worked. */
  readonly error: string | null;
}

async function restarted(name: string, say: (line: string) => void): Promise<Restarted> {
  try {
    await restartInterface(name, say);
    return { interface: name, error: null };
  } catch (error) {
    return { interface: name, error: faultWords(error) };
  }
}

function faultOf(teller: AlertTeller): string[] {
  try {
    teller.look();
    return [];
  } catch (error) {
    return [faultWords(error)];
  }
}

function printRound(
  { findings, notices }: CheckDecision,
  restarts: readonly Restarted[],
  print: (line: string) => void,
) {
  for (const { level, said } of findings) print(`${level.padEnd(8)}  ${said}`);
  for (const { interface: name, error } of restarts)
    print(error === null ? `restarted ${name}` : `not restarted ${name}: ${error}`);
  for (const { over, said } of notices) print(`alert: ${over ? 'over: ' : ''}${said}`);
}

/** Whatever goes wrong is `UNKNOWN` and 3, and not one of the codes that say how the tunnel is. */
async function plugin(options: CheckOptions, { clock, terminal }: CommandIo): Promise<void> {
  const say = (line: string): void => void terminal.stdout.write(`${line}\n`);
  let answer: ReturnType<typeof pluginAnswer>;
  try {
    const order = checkOrder(options);
    const sight = await look(order, readAuthority(options.ca), clock.now.bind(clock));
    const { findings } = decideCheck(NO_CHECK_YET, sight, { ...order.rules, restarts: false }, clock.now());
    answer = pluginAnswer(findings, order.rules);
  } catch (error) {
    const message = faultWords(error);
    say(`UNKNOWN: ${message}`);
    throw new LatchkeyError('unknown', message, { exit: PLUGIN_EXIT.unknown, cause: error, extra: { told: true } });
  }
  say(answer.line);
  if (answer.exit === 0) return;
  throw new LatchkeyError('degraded', 'not all is well', { exit: answer.exit, extra: { told: true } });
}
