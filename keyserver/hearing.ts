import type { Kysely } from 'kysely';
import type { RateOutcome, RatePolicy } from '../platform/rate.ts';
import { tellLockout } from './alerts/lockout.ts';
import { askPerson } from './approvals/held-request.ts';
import type { Caller } from './calls/caller.ts';
import { type CaseFile, readCase } from './case-file.ts';
import { noteFirstUse } from './certificates/records.ts';
import { type Client, clientDefaults } from './clients/client.ts';
import { finishRotation, secretsShown } from './clients/rotation.ts';
import type { Custody } from './custody.ts';
import { recordDenial } from './denial-record.ts';
import type { GateRequest, GateState } from './gate.ts';
import { tellOwner } from './gate-alerts.ts';
import { codesOf, rateKinds, spentAtOf, stateOf } from './gate-state.ts';
import type { Hearing, Outcome } from './heard-call.ts';
import { type Finding, type Judgement, judge } from './judgement.ts';
import { surroundingsOf } from './policy/known-machine.ts';
import { absenceNow, joined } from './presence/absence.ts';
import { afterRefusal, afterwards, rateOutcome } from './refused-call.ts';
import type { Database } from './schema.ts';

const strangerRate: RatePolicy = {
  perHour: clientDefaults.ratePerHour,
  burst: clientDefaults.burst,
  lockout: clientDefaults.lockout,
};

/**
 * Hears one call: reads the client's state, asks the gates and acts, in one transaction that is on disk before this
 * returns. What a refusal changes is no more than the remembered time of a judged message, for a fork the lock, and for a
 * hold the question to a person.
 */
export async function hear<T>(custody: Custody, hearing: Hearing<T>, now: number): Promise<Outcome<T>> {
  const { caller, kind } = hearing;
  const { client, source } = caller;
  let policy = strangerRate;
  let outcome: RateOutcome = 'dropped';
  let known: Client | null = null;
  custody.limiter.enter(client, source);
  try {
    const result = await custody.store.transaction(async (tx): Promise<Outcome<T>> => {
      const file = await readCase(tx, client, hearing.shown, caller.certificate?.serial ?? null);
      known = file.client;
      policy = known?.rate ?? strangerRate;
      const shownFacts = { link: file.link, sessionHolds: false, proven: false, ...(await hearing.facts?.(tx, file)) };
      const facts = { ...shownFacts, spentAt: await spentAtOf(tx, hearing, file, shownFacts.link) };
      const codes = codesOf(custody, file, now);
      const shown = file.client === null ? 'present' : secretsShown(file.client, caller, codes);
      const state = stateOf(custody, hearing, file, facts, { codes, shown }, policy, now);
      const machine = hearing.machine ?? null;
      const { tokenHash, totp, certificate } = caller;
      const request = { kind, source, tokenHash, totp, certificate, machine, now };
      const first = judge(request, state);
      if (hearing.known !== undefined && first.verdicts.totp === 'pass') await hearing.known(tx, file);
      const { refusal, verdicts, alerts, approval } =
        first.refusal?.verdict === 'hold' ? await consult(tx, custody, request, state, first) : { ...first, ...noYes };
      if (refusal === null) {
        for (const finding of alerts) await tell(tx, finding, 'alerted', request, state);
        const settled = await settleRotation(tx, file, shown, source, now);
        const value = await hearing.act(tx, { file: settled, link: facts.link, verdicts, approval });
        return { refusal, value, file: settled, alerts };
      }
      await afterRefusal(tx, hearing, file, { request, state }, refusal, now);
      if (refusal.code === 'fingerprint_refused')
        await tell(tx, { gate: refusal.gate, reason: refusal.reason ?? '' }, 'denied', request, state);
      return { refusal, file };
    });
    outcome = rateOutcome(result.refusal);
    if (result.refusal !== null) await afterwards(custody, hearing, result.refusal, result.file, now);
    else {
      await afterFirstUse(custody, caller, result.file, now);
      await recordAlerts(custody, hearing, result.alerts, now);
    }
    return result;
  } finally {
    const first = custody.limiter.settle(client, source, policy, rateKinds[kind], outcome, now);
    if (first) await tellLockout(custody, known, source, kind, now);
  }
}

const noYes = { approval: null } as const;

/** The first call with new secrets ends the old ones, in its own transaction. Answers the file as it is then. */
async function settleRotation(
  tx: Kysely<Database>,
  file: CaseFile,
  shown: ReturnType<typeof secretsShown>,
  source: string,
  now: number,
): Promise<CaseFile> {
  const { client } = file;
  const rotation = client?.rotation ?? null;
  if (client === null || rotation === null || shown !== 'next') return file;
  const head = await finishRotation(tx, client, rotation, source, now, file.head);
  return { ...file, client: { ...client, rotation: null }, head };
}

/** What becomes of a call that gates hold: judged again by a person's yes, or refused until there is one. */
async function consult(
  tx: Kysely<Database>,
  custody: Custody,
  request: GateRequest,
  state: GateState,
  held: Judgement,
): Promise<Judgement & { readonly approval: string | null }> {
  const { client, pulse, ownGaps } = state;
  const { machine, source, now } = request;
  if (client === null || machine === null) throw new TypeError('only a call that asks for a key can be held');
  const { reason, bootId, fingerprint } = machine;
  const ruling = await askPerson(
    tx,
    {
      client: { id: client.id, name: client.name },
      holds: held.holds,
      facts: {
        call: request.kind === 'key' ? 'key' : 'open',
        reason,
        now: { time: now, source, bootId, fingerprint },
        before: {
          source: pulse.source,
          bootId: pulse.bootId,
          fingerprint: pulse.fingerprints[surroundingsOf(reason)],
          heardAt: pulse.heardAt,
          presentAt: pulse.presentAt,
          releasedAt: pulse.releasedAt,
        },
        absence: joined(pulse.absence, absenceNow(pulse, bootId, ownGaps, client.gates.absence, now)),
      },
      page: custody.approvalPage,
    },
    now,
    custody.random,
  );
  if ('refusal' in ruling) return { ...held, refusal: ruling.refusal, ...noYes };
  return { ...judge(request, { ...state, approved: ruling.gates }), approval: ruling.approval };
}

async function tell(
  tx: Kysely<Database>,
  finding: Finding,
  outcome: 'alerted' | 'denied',
  { machine, source, now }: GateRequest,
  { client, pulse, ownGaps }: GateState,
): Promise<void> {
  if (client === null || machine === null) return;
  await tellOwner(tx, finding, outcome, { client, pulse, machine, source, ownGaps, now });
}

/**
 * The first call that passed with a renewed certificate ends the one before it. What was asked for has been done by
 * then, so a failure here is logged, and the next call tries again.
 */
async function afterFirstUse(custody: Custody, { certificate }: Caller, file: CaseFile, now: number): Promise<void> {
  if (certificate === null || file.certificate?.usedAt !== null || file.client?.certificate.policy === 'off') return;
  try {
    await custody.store.transaction((tx) => noteFirstUse(tx, certificate.serial, now));
  } catch (cause) {
    const { name, message } = cause as Error;
    custody.log.error({ name, message }, 'first use of a certificate was not noted');
  }
}

/** What gates found that let pass: the first of each sort is a record. */
async function recordAlerts<T>(
  custody: Custody,
  { caller: { source, client }, kind: call }: Hearing<T>,
  alerts: readonly Finding[],
  now: number,
): Promise<void> {
  for (const { gate, reason } of alerts) {
    await recordDenial(custody, { now, event: 'gate_alerted', code: gate, source, client, call, gate, reason });
  }
}
