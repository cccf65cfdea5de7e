import { hostname } from 'node:os';
import type { Command } from 'commander';
import type { CommandIo } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { trialNotice } from './check-alert.ts';
import type { AlertTeller } from './check-channel.ts';
import { faultWords } from './check-fault.ts';
import { type CheckOptions, tellersOf } from './check-order.ts';

interface Tried {
  readonly name: string;
  /** `null` when it arrived. */
  readonly error: string | null;
}

/** `check try`, which takes the options of `check` too. */
export function addCheckTryCommand(check: Command, io: CommandIo): void {
  check
    .command('try')
    .description('send a test by each way out for alerts, and nothing else')
    .action((_: unknown, command: Command) => tryAlerts((command.parent as Command).opts<CheckOptions>(), io));
}

async function tryAlerts(options: CheckOptions, { clock, terminal }: CommandIo): Promise<void> {
  const tellers = tellersOf(options);
  if (tellers.length === 0) {
    throw new LatchkeyError('usage', '"--alert-channel" or "--alert-command" must say by what', {
      exit: 2,
      field: '--alert-channel',
    });
  }
  const tried = await Promise.all(tellers.map((teller) => tryOne(teller, clock.now())));
  if (options.json === true) printJson(terminal, { host: hostname(), tried });
  else
    for (const { name, error } of tried)
      terminal.stdout.write(error === null ? `sent   ${name}\n` : `failed ${name}: ${error}\n`);
  if (tried.every(({ error }) => error === null)) return;
  throw new LatchkeyError('alert_not_sent', 'not every test arrived', { extra: { told: true } });
}

async function tryOne({ name, tell }: AlertTeller, now: number): Promise<Tried> {
  try {
    await tell(trialNotice(hostname(), now), new AbortController().signal);
    return { name, error: null };
  } catch (error) {
    return { name, error: faultWords(error) };
  }
}
