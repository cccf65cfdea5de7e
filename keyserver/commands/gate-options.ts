import type { Command } from 'commander';
import { parseInteger } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { lengthText } from '../approvals/facts.ts';
import { type GatePolicy, type OverrideChange, presetNames } from '../policy/policy.ts';

export interface GateOptions {
  readonly preset?: string;
  readonly fingerprint?: string;
  readonly presence?: string;
  readonly ownGap?: string;
  readonly unheard?: string;
  readonly absence?: string;
  readonly habit?: string;
  readonly schedule?: string;
  readonly outside?: string;
  readonly approval?: string;
}

const looks = ['off', 'alert', 'hold'] as const;

/** Adds the options by which a client's gates are set; each takes `preset` to go back to what the preset says. */
export function withGateOptions(command: Command): Command {
  return command
    .option('--preset <relaxed|balanced|strict>', 'how the gates behind the chain answer')
    .option('--fingerprint <off|alert|hold|deny>', 'when the machine looks different')
    .option('--presence <off|alert|hold>', 'when the machine was away')
    .option('--own-gap <off|alert|hold>', 'when it was not heard because this server was away')
    .option('--unheard <off|alert|hold>', 'when no heartbeat ever came')
    .option('--absence <seconds>', 'how long it may be silent')
    .option('--habit <off|alert|hold>', 'when it fetches in an unusual way')
    .option('--schedule <hours>', 'when it may fetch, as "Europe/Berlin mon-fri 07:00-20:00, sat 09:00-12:00", or off')
    .option('--outside <deny|hold>', 'what happens outside those hours')
    .option('--approval <held|every-boot>', 'when a person is asked');
}

/** The change those options ask for, `null` when they ask for none. */
export function gateChangeFrom(options: GateOptions): OverrideChange | null {
  const change = {
    ...chosen('preset', options.preset, presetNames),
    ...chosen('fingerprint', options.fingerprint, [...looks, 'deny']),
    ...chosen('presence', options.presence, looks),
    ...chosen('ownGap', options.ownGap, looks),
    ...chosen('unheard', options.unheard, looks),
    ...secondsFrom(options.absence),
    ...chosen('habit', options.habit, looks),
    ...scheduleFrom(options.schedule),
    ...chosen('outside', options.outside, ['deny', 'hold']),
    ...chosen('approval', options.approval, ['held', 'every-boot']),
  };
  return Object.keys(change).length === 0 ? null : change;
}

/** A policy in one line. */
export function gatesText(gates: GatePolicy): string {
  const hours = gates.schedule === null ? 'at all hours' : `${gates.schedule.text}, otherwise ${gates.outside}`;
  return (
    `${gates.preset}: fingerprint ${gates.fingerprint}, presence ${gates.presence} after ${lengthText(gates.absence)}, ` +
    `own gap ${gates.ownGap}, unheard ${gates.unheard}, habit ${gates.habit}, ${hours}, ` +
    `approval ${gates.approval === 'held' ? 'when held' : 'when held and for every boot'}`
  );
}

/** The same for programs: seconds, and the schedule as it is written. */
export function gatesReport({ schedule, absence, ...gates }: GatePolicy): Readonly<Record<string, unknown>> {
  return { ...gates, absence: absence / 1000, schedule: schedule?.text ?? null };
}

function chosen<K extends string, V extends string>(
  name: K,
  text: string | undefined,
  values: readonly V[],
): { readonly [P in K]?: V | null } {
  if (text === undefined) return {};
  const value = values.find((known) => known === text);
  if (value !== undefined) return { [name]: value } as { [P in K]: V };
  if (text === 'preset' && name !== 'preset') return { [name]: null } as { [P in K]: null };
  const field = `--${name.replace('ownGap', 'own-gap')}`;
  throw new LatchkeyError('invalid_request', `"${field}" must be ${values.join(', ')}`, { exit: 2, field });
}

function secondsFrom(text: string | undefined): Pick<OverrideChange, 'absence'> {
  if (text === undefined) return {};
  if (text === 'preset') return { absence: null };
  return { absence: parseInteger(text, '--absence', { min: 120, max: 2_592_000 }) };
}

function scheduleFrom(text: string | undefined): Pick<OverrideChange, 'schedule'> {
  if (text === undefined) return {};
  return { schedule: text === 'off' || text === 'preset' ? null : text };
}
