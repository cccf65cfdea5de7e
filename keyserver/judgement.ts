import type { Gate, GateRequest, GateState, Verdict } from './gate.ts';
import { approval } from './gates/approval.ts';
import { certificate } from './gates/certificate.ts';
import { chain } from './gates/chain.ts';
import { fingerprint } from './gates/fingerprint.ts';
import { habit } from './gates/habit.ts';
import { kill } from './gates/kill.ts';
import { presence } from './gates/presence.ts';
import { rate } from './gates/rate.ts';
import { schedule } from './gates/schedule.ts';
import { seal } from './gates/seal.ts';
import { source } from './gates/source.ts';
import { token } from './gates/token.ts';
import { totp } from './gates/totp.ts';

/** All gates, in the order they are asked. A new gate is a file in `gates/` and a name in this list. */
export const gates: readonly Gate[] = [
  seal,
  kill,
  source,
  rate,
  token,
  totp,
  certificate,
  chain,
  fingerprint,
  presence,
  habit,
  schedule,
  approval,
];

/** What one gate found. */
export interface Finding {
  readonly gate: string;
  readonly reason: string;
}

export interface Judgement {
  /** The first gate that denied, else the first that held; `null` when all let pass. */
  readonly refusal: (Verdict & { readonly gate: string }) | null;
  /** Gate by gate up to the refusal, for the audit record: `pass`, `alert`, `approved`, or the code. */
  readonly verdicts: Readonly<Record<string, string>>;
  /** The gates that let pass and have the owner told. */
  readonly alerts: readonly Finding[];
  /** The gates that want a person's yes; with a denial nobody is asked. */
  readonly holds: readonly Finding[];
}

/**
 * Asks the gates in order. The first denial decides; a gate that holds is remembered while the others are asked, so that
 * a person is asked once about all of it. Where denials must not differ in time, the gates behind them that are as
 * `uniform` are asked all the same.
 */
export function judge(request: GateRequest, state: GateState, list: readonly Gate[] = gates): Judgement {
  const verdicts: Record<string, string> = {};
  const alerts: Finding[] = [];
  const holds: Finding[] = [];
  let held: (Verdict & { gate: string }) | null = null;
  let denied: (Verdict & { gate: string }) | null = null;
  for (const gate of list) {
    if (denied !== null && !gate.uniform) break;
    const { name } = gate;
    const verdict = gate.judge(request, state);
    if (denied !== null) continue;
    if (verdict.verdict === 'hold' && state.approved.includes(name)) {
      verdicts[name] = 'approved';
      continue;
    }
    if (verdict.verdict === 'pass') {
      verdicts[name] = 'pass';
      continue;
    }
    verdicts[name] = verdict.code ?? verdict.verdict;
    const finding = { gate: name, reason: verdict.reason ?? '' };
    if (verdict.verdict === 'alert') alerts.push(finding);
    if (verdict.verdict === 'hold') {
      holds.push(finding);
      held ??= { ...verdict, gate: name };
    }
    if (verdict.verdict !== 'deny') continue;
    denied = { ...verdict, gate: name };
    if (!gate.uniform) break;
  }
  return { refusal: denied ?? held, verdicts, alerts, holds };
}
