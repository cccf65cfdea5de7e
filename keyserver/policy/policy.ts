import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import { parseInput } from '../../platform/schema.ts';
import { parseSchedule, type Schedule } from './schedule.ts';

/** What a gate does about what it found; `off` looks away. */
export type Answer = 'off' | 'alert' | 'hold' | 'deny';

/** What the gates behind the chain do for one client. */
export interface GatePolicy {
  readonly preset: Preset;
  /** The machine looks different from the enrolled one. */
  readonly fingerprint: Answer;
  /** The machine was away and may have been copied. */
  readonly presence: Exclude<Answer, 'deny'>;
  /** It was not heard because the key server itself was away, and has not been started anew since. */
  readonly ownGap: Exclude<Answer, 'deny'>;
  /** No heartbeat ever came. */
  readonly unheard: Exclude<Answer, 'deny'>;
  /** How long a machine may be silent, ms. */
  readonly absence: number;
  /** A fetch that nothing explains, or far more of them than usual. */
  readonly habit: Exclude<Answer, 'deny'>;
  /** `null` allows every hour. */
  readonly schedule: Schedule | null;
  /** What happens outside those hours: a person may be asked, or it is refused. */
  readonly outside: 'hold' | 'deny';
  /** `held`: a person is asked when a gate holds. `every-boot`: also for the first fetch after each start of the machine. */
  readonly approval: 'held' | 'every-boot';
}

export const presetNames = ['relaxed', 'balanced', 'strict'] as const;
export type Preset = (typeof presetNames)[number];

const common = { absence: 600_000, schedule: null, outside: 'deny' } as const;

/** The three presets; a client's overrides lie on top of one of them. */
export const presets: Readonly<Record<Preset, GatePolicy>> = {
  relaxed: {
    ...common,
    preset: 'relaxed',
    fingerprint: 'alert',
    presence: 'alert',
    ownGap: 'alert',
    unheard: 'off',
    habit: 'alert',
    approval: 'held',
  },
  balanced: {
    ...common,
    preset: 'balanced',
    fingerprint: 'hold',
    presence: 'hold',
    ownGap: 'alert',
    unheard: 'alert',
    habit: 'alert',
    approval: 'held',
  },
  strict: {
    ...common,
    preset: 'strict',
    fingerprint: 'deny',
    presence: 'hold',
    ownGap: 'hold',
    unheard: 'hold',
    habit: 'hold',
    approval: 'every-boot',
  },
};

const answer = z.enum(['off', 'alert', 'hold']);

/** What `client.gate_policy` holds: a preset, and what its owner wants otherwise. `{}` is the preset `balanced`. */
const overridesSchema = z.strictObject({
  preset: z.enum(presetNames).optional(),
  fingerprint: z.enum(['off', 'alert', 'hold', 'deny']).optional(),
  presence: answer.optional(),
  ownGap: answer.optional(),
  unheard: answer.optional(),
  /** Seconds: from two heartbeats' time to 30 days. */
  absence: z.int().min(120).max(2_592_000).optional(),
  habit: answer.optional(),
  schedule: z.string().max(1_000).optional(),
  outside: z.enum(['hold', 'deny']).optional(),
  approval: z.enum(['held', 'every-boot']).optional(),
});
export type Overrides = z.infer<typeof overridesSchema>;

/** Policies by their spelling; clients share a few, and every request reads its client's. */
const known = new Map<string, GatePolicy>();
const knownLimit = 1_000;

/** The policy spelled by `text`. Throws `policy_damaged`: a client whose rules cannot be read gets nothing. */
export function gatePolicyOf(text: string): GatePolicy {
  const remembered = known.get(text);
  if (remembered !== undefined) return remembered;
  const { schedule, absence, ...rest } = overridesOf(text);
  const base = presets[rest.preset ?? 'balanced'];
  const chosen = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  const policy: GatePolicy = {
    ...base,
    ...chosen,
    ...(absence !== undefined && { absence: absence * 1000 }),
    ...(schedule !== undefined && { schedule: parseSchedule(schedule) }),
  };
  if (known.size >= knownLimit) known.clear();
  known.set(text, policy);
  return policy;
}

/** What a client's owner wants otherwise than its preset. Throws `policy_damaged`. */
export function overridesOf(text: string): Overrides {
  try {
    return parseInput(overridesSchema, JSON.parse(text));
  } catch (cause) {
    throw new LatchkeyError('policy_damaged', 'the gate policy of a client could not be read', { cause });
  }
}

/** A change to overrides: what is named is set, `null` goes back to what the preset says. */
export type OverrideChange = { readonly [K in keyof Overrides]: Overrides[K] | null };

/** The spelling of the overrides in `text` after `change`. Throws `invalid_request` for values that are none. */
export function withOverrides(text: string, change: OverrideChange): string {
  const merged: Record<string, unknown> = { ...overridesOf(text), ...change };
  const kept = Object.keys(merged)
    .filter((name) => merged[name] !== null && merged[name] !== undefined)
    .sort();
  const overrides = parseInput(overridesSchema, Object.fromEntries(kept.map((name) => [name, merged[name]])));
  if (overrides.schedule !== undefined) parseSchedule(overrides.schedule);
  return JSON.stringify(overrides);
}
