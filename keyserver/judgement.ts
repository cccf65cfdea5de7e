import type { Gate, GateRequest, GateState, Verdict } from './gate.ts';
import { chain } from './gates/chain.ts';
import { kill } from './gates/kill.ts';
import { rate } from './gates/rate.ts';
import { seal } from './gates/seal.ts';
import { source } from './gates/source.ts';
import { token } from './gates/token.ts';
import { totp } from './gates/totp.ts';

/** All gates, in the order they are asked. A new gate is a file in `gates/` and a name in this list. */
export const gates: readonly Gate[] = [seal, kill, source, rate, token, totp, chain];

export interface Judgement {
  /** The first gate that did not pass, `null` when all did. */
  readonly refusal: (Verdict & { readonly gate: string }) | null;
  /** Gate by gate up to the refusal, for the audit record: `pass`, or the code. */
  readonly verdicts: Readonly<Record<string, string>>;
}

/**
 * Asks the gates in order. The first refusal decides. Where refusals must not differ in time, the gates behind it are
 * asked all the same.
 */
export function judge(request: GateRequest, state: GateState, list: readonly Gate[] = gates): Judgement {
  const verdicts: Record<string, string> = {};
  let refusal: (Verdict & { gate: string }) | null = null;
  for (const gate of list) {
    const verdict = gate.judge(request, state);
    if (refusal !== null) continue;
    verdicts[gate.name] = verdict.verdict === 'pass' ? 'pass' : (verdict.code ?? verdict.verdict);
    if (verdict.verdict === 'pass') continue;
    refusal = { ...verdict, gate: gate.name };
    if (!gate.uniform) break;
  }
  return { refusal, verdicts };
}
