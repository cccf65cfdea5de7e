import type { Kysely } from 'kysely';
import { appendAudit } from '../platform/audit-chain.ts';
import { LatchkeyError } from '../platform/errors.ts';
import { absenceNow, joined } from './absence.ts';
import type { Alert } from './alerts/alert.ts';
import { tellLockout } from './alerts/lockout.ts';
import { raiseAlert } from './alerts/raise.ts';
import type { Caller } from './caller.ts';
import { type CaseFile, readCase } from './case-file.ts';
import { noteFirstUse } from './certificate-records.ts';
import { freshness } from './chain.ts';
import { type Client, clientDefaults, type RatePolicy, totpItem } from './client.ts';
import { nextPage } from './code-book.ts';
import type { Custody } from './custody.ts';
import { type ForkingMessage, recordFork } from './fork.ts';
import type { CallKind, GateRequest, GateState, ShownMachine, Verdict } from './gate.ts';
import { tellOwner } from './gate-alerts.ts';
import { expired } from './gates/certificate.ts';
import { askPerson } from './held-request.ts';
import { type Finding, type Judgement, judge } from './judgement.ts';
import { surroundingsOf } from './known-machine.ts';
import type { Link } from './link.ts';
import { type LinkOnFile, spentTime } from './link-store.ts';
import { savePulse } from './pulse.ts';
import type { RateKind, RateOutcome } from './rate.ts';
import { type CodesByAge, finishRotation, secretsShown } from './rotation.ts';
import type { Database } from './schema.ts';
import type { TotpCode } from './totp.ts';
import { totpReach } from './totp.ts';

/** What a call adds to the state the gates see. */
export interface ChainFacts {
  readonly link: LinkOnFile;
  /** release: the session of this call issued this link. */
  readonly sessionHolds: boolean;
  /** heartbeat: the proof is right for the link it names. */
  readonly proven: boolean;
}

/** What is known once all gates passed. */
export interface Heard {
  readonly file: CaseFile;
  readonly link: LinkOnFile;
  readonly verdicts: Judgement['verdicts'];
  /** The approval by which it passed; `null` when none was needed. */
  readonly approval: string | null;
}

/** One call, before it is judged. */
export interface Hearing<T> {
  readonly kind: CallKind;
  readonly caller: Caller;
  /** The message's time; `null` for the calls that have none. */
  readonly time: number | null;
  /** The link it brought; `null` for the calls that bring none. */
  readonly shown: Link | null;
  /** What it says of its machine, if it asks for a key. */
  readonly machine?: ShownMachine;
  /** What the fork record tells of this message. */
  readonly fork?: Omit<ForkingMessage, 'call' | 'source' | 'time'>;
  /** Where the case file alone does not tell: the link that came with the call is in there. */
  readonly facts?: (tx: Kysely<Database>, file: CaseFile) => Partial<ChainFacts> | Promise<Partial<ChainFacts>>;
  /** Asked when token and TOTP were right, whatever the gates behind them say. */
  readonly known?: (tx: Kysely<Database>, file: CaseFile) => Promise<void>;
  /** Does what was asked for; all gates passed. It may run twice, in another transaction. */
  readonly act: (tx: Kysely<Database>, heard: Heard) => Promise<T>;
}

export type Refusal = Verdict & { readonly gate: string };

export type Outcome<T> =
  | { readonly refusal: null; readonly value: T; readonly file: CaseFile; readonly alerts: readonly Finding[] }
  | { readonly refusal: Refusal; readonly file: CaseFile };

const rateKinds: Readonly<Record<CallKind, RateKind>> = {
  open: 'exchange',
  key: 'exchange',
  heartbeat: 'heartbeat',
  release: 'free',
  store: 'free',
  certificate: 'exchange',
};

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
      await afterRefusal(tx, hearing, file, state, refusal, now);
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

/** Asked of the store only where it makes a difference: a message that would count as a repeated one. */
async function spentAtOf<T>(
  tx: Kysely<Database>,
  { time }: Hearing<T>,
  { pulse }: CaseFile,
  { standing, number }: LinkOnFile,
): Promise<number | null> {
  if (standing !== 'spent' || number === null || time === null || time > pulse.lastTime) return null;
  return spentTime(tx, number, pulse);
}

function stateOf<T>(
  custody: Custody,
  hearing: Hearing<T>,
  file: CaseFile,
  facts: ChainFacts & { readonly spentAt: number | null },
  { codes, shown }: { readonly codes: CodesByAge; readonly shown: ReturnType<typeof secretsShown> },
  policy: RatePolicy,
  now: number,
): GateState {
  const { client, source } = hearing.caller;
  const fresh = hearing.time === null ? 'fresh' : freshness(hearing.time, file.pulse.lastTime, now, facts.spentAt);
  return {
    sealed: custody.vault() === null,
    killed: file.killed || custody.killFile(),
    client: file.client,
    rate: custody.limiter.look(client, source, policy, rateKinds[hearing.kind], now),
    totp: {
      codes: file.client !== null && file.client.totpSealed === null ? null : allOf(codes),
      lastStep: file.pulse.totpStep,
    },
    former: shown === 'former',
    certificate: file.certificate,
    chain: {
      fresh,
      apart: hearing.time !== null && Math.abs(hearing.time - now) > totpReach,
      standing: facts.link.standing,
      sessionHolds: facts.sessionHolds,
      proven: facts.proven,
    },
    pulse: file.pulse,
    ownGaps: custody.ownTime.gaps(now),
    approved: [],
  };
}

function allOf({ present, next, former }: CodesByAge): readonly TotpCode[] {
  return next.length + former.length === 0 ? present : [...present, ...next, ...former];
}

/** A client's codes by the age of their secrets; a stranger's, when nobody's can be had. */
function codesOf(custody: Custody, { client }: CaseFile, now: number): CodesByAge {
  const none: readonly TotpCode[] = [];
  if (client === null || custody.vault() === null) {
    return { present: custody.codeBook.strangerCodes(now), next: none, former: none };
  }
  const codes = (sealed: Uint8Array | null | undefined, which: keyof CodesByAge) =>
    sealed === null || sealed === undefined ? none : codesOfSecret(custody, client.id, sealed, which, now);
  return {
    present: codes(client.totpSealed, 'present'),
    next: codes(client.rotation?.totpSealed, 'next'),
    former: codes(client.former?.totpSealed, 'former'),
  };
}

function codesOfSecret(
  custody: Custody,
  id: string,
  sealed: Uint8Array,
  which: keyof CodesByAge,
  now: number,
): readonly TotpCode[] {
  const vault = custody.vault();
  if (vault === null) return [];
  const page = { present: id, next: nextPage(id), former: `${id}|former` }[which];
  try {
    return custody.codeBook.codesOf(page, sealed, () => vault.open(totpItem(id), sealed), now);
  } catch (cause) {
    custody.log.error({ client: id, err: cause }, 'totp secret could not be opened');
    return [];
  }
}

/** Gates from which on the caller is known to be who it says. */
function isKnownCaller(refusal: Refusal): boolean {
  if (refusal.reason === expired) return true;
  return refusal.code !== 'unauthorized' && !['seal', 'kill', 'source', 'rate', 'totp'].includes(refusal.gate);
}

async function afterRefusal<T>(
  tx: Kysely<Database>,
  hearing: Hearing<T>,
  file: CaseFile,
  state: GateState,
  refusal: Refusal,
  now: number,
): Promise<void> {
  if (!isKnownCaller(refusal) || refusal.gate === 'certificate') return;
  if (hearing.time === null || state.chain.fresh !== 'fresh') return;
  await savePulse(tx, hearing.caller.client, { ...file.pulse, lastTime: Math.max(hearing.time, file.pulse.lastTime) });
  const { kind, fork } = hearing;
  if (fork !== undefined && isFork(refusal, file) && (kind === 'open' || kind === 'release' || kind === 'heartbeat')) {
    const { source } = hearing.caller;
    await recordFork(tx, file, { call: kind, source, time: hearing.time, ...fork }, now);
  }
}

/** True for the refusal that showed a fork, false for those that follow because the client is locked. */
function isFork(refusal: Refusal, file: CaseFile): boolean {
  return refusal.code === 'locked' && refusal.reason === 'fork' && file.client?.state === 'enrolled';
}

function rateOutcome(refusal: Refusal | null): RateOutcome {
  if (refusal === null || isKnownCaller(refusal)) return 'served';
  return ['seal', 'kill', 'rate'].includes(refusal.gate) ? 'dropped' : 'refused';
}

async function afterwards<T>(
  custody: Custody,
  hearing: Hearing<T>,
  refusal: Refusal,
  file: CaseFile,
  now: number,
): Promise<void> {
  const code = refusal.code ?? refusal.verdict;
  custody.metrics.refused(refusal.gate, code);
  if (isFork(refusal, file)) {
    custody.metrics.forked();
    return; // the fork has its own record
  }
  if (refusal.verdict === 'hold') return; // so has the question to a person
  await recordDenial(custody, {
    now,
    event: 'request_denied',
    code,
    source: hearing.caller.source,
    client: file.client?.id ?? null,
    call: hearing.kind,
    gate: refusal.gate,
    reason: refusal.reason ?? null,
    ...(refusal.gate === 'source' && file.client !== null && { alert: sourceAlert(hearing, file.client) }),
    ...(refusal.gate === 'certificate' && { alert: certificateAlert(hearing.caller.source, refusal, file) }),
  });
}

/** Token and code were right, and the certificate was not: somebody has a part of the credentials. */
function certificateAlert(source: string, { reason = 'refused' }: Refusal, { client }: CaseFile): Alert {
  const who = client === null ? null : { id: client.id, name: client.name };
  return { event: 'certificate_refused', client: who, source, reason };
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

/** Somebody speaks in a client's name from where it does not live. */
function sourceAlert<T>({ kind, caller }: Hearing<T>, client: Client): Alert {
  return { event: 'source_refused', client, source: caller.source, call: kind };
}

/** A refusal on its way to the audit log. */
export interface DenialRecord {
  readonly now: number;
  readonly event: string;
  readonly code: string;
  readonly source: string;
  readonly client: string | null;
  readonly call: CallKind | 'enroll';
  readonly gate?: string;
  readonly reason?: string | null;
  /** Told to the owner with the record. */
  readonly alert?: Alert;
}

/** Records the first refusal of its sort; those that follow are counted. */
export async function recordDenial(custody: Custody, denial: DenialRecord): Promise<void> {
  const { now, event, code, source, client } = denial;
  const who = client === null ? {} : { client };
  const why = denial.reason === undefined || denial.reason === null ? {} : { reason: denial.reason };
  if (!custody.denials.note({ event, code, source, ...who, ...why }, now)) return;
  const detail = { call: denial.call, code, ...(denial.gate === undefined ? {} : { gate: denial.gate }) };
  const { alert } = denial;
  await custody.store.transaction(async (tx) => {
    await appendAudit(tx, { time: now, event, source, ...who, ...why, detail });
    if (alert !== undefined) await raiseAlert(tx, alert, now);
  });
}

/** What a call that found no such thing answers. */
export function notFound(what: string, field: string): LatchkeyError {
  return new LatchkeyError('not_found', `there is no ${what}`, { status: 404, field });
}
