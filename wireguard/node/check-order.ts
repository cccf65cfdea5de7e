import { resolve } from 'node:path';
import { parseInteger } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import type { CheckRules } from './check.ts';
import { type AlertTeller, alertTellers, parseAlertCommand } from './check-channel.ts';
import { parseKeyserver } from './check-keyserver.ts';

/** Options of `wgnode check`, as they were typed. */
export interface CheckOptions {
  readonly interface?: readonly string[];
  readonly keyserver?: readonly string[];
  readonly ca?: string;
  readonly warning: string;
  readonly critical: string;
  readonly eachPeer?: boolean;
  readonly restart: boolean;
  readonly badRounds: string;
  readonly goodRounds: string;
  readonly alertCommand?: string;
  readonly alertChannel?: readonly string[];
  readonly state: string;
  readonly nagios?: boolean;
  readonly json?: boolean;
}

/** What is to be checked, and by which rules. */
export interface CheckOrder {
  readonly interfaces: readonly string[];
  readonly keyservers: readonly string[];
  readonly rules: CheckRules;
  readonly tellers: readonly AlertTeller[];
}

/** Pure: what the options mean. Throws `usage` and `invalid_request`. */
export function checkOrder(options: CheckOptions): CheckOrder {
  const interfaces = [...new Set(options.interface ?? [])];
  const keyservers = [...new Set((options.keyserver ?? []).map(parseKeyserver))];
  if (interfaces.length + keyservers.length === 0) {
    throw wrong('--interface', 'or "--keyserver" must say what is to be looked at');
  }
  for (const name of interfaces) {
    if (!/^[a-zA-Z0-9_=+.-]{1,15}$/.test(name) || /^[.-]/.test(name))
      throw wrong('--interface', 'must be a name of an interface');
  }
  const warning = parseInteger(options.warning, '--warning', { min: 1, max: 1_000_000 });
  const critical = parseInteger(options.critical, '--critical', { min: 1, max: 1_000_000 });
  if (warning > critical) throw wrong('--warning', 'must not be more than "--critical"');
  const tellers = tellersOf(options);
  const rules = {
    warning,
    critical,
    badRounds: parseInteger(options.badRounds, '--bad-rounds', { min: 1, max: 1000 }),
    goodRounds: parseInteger(options.goodRounds, '--good-rounds', { min: 1, max: 1000 }),
    eachPeer: options.eachPeer === true,
    restarts: options.restart,
    tellers: tellers.map(({ name }) => name),
  };
  return { interfaces, keyservers, rules, tellers };
}

/** Pure: the ways out that the options name. Throws `usage`. */
export function tellersOf({ alertCommand, alertChannel = [] }: CheckOptions): readonly AlertTeller[] {
  return alertTellers(
    alertCommand === undefined ? null : parseAlertCommand(alertCommand),
    alertChannel.map((file) => resolve(file)),
  );
}

function wrong(field: string, words: string): LatchkeyError {
  return new LatchkeyError('usage', `"${field}" ${words}`, { exit: 2, field });
}
