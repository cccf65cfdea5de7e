import type { Kysely } from 'kysely';
import type { RateKind, RatePolicy } from '../platform/rate.ts';
import { type TotpCode, totpReach } from '../platform/totp.ts';
import type { CaseFile } from './case-file.ts';
import { freshness } from './chain.ts';
import { totpItem } from './clients/client.ts';
import type { CodesByAge, secretsShown } from './clients/rotation.ts';
import { nextPage } from './code-book.ts';
import type { Custody } from './custody.ts';
import type { CallKind, GateState } from './gate.ts';
import type { ChainFacts, Hearing } from './heard-call.ts';
import { type LinkOnFile, spentTime } from './link-store.ts';
import type { Database } from './schema.ts';

/** What each call pays from its client's bucket. */
export const rateKinds: Readonly<Record<CallKind, RateKind>> = {
  open: 'exchange',
  key: 'exchange',
  heartbeat: 'heartbeat',
  release: 'free',
  store: 'free',
  certificate: 'exchange',
};

/** What the gates see of a call. */
export function stateOf<T>(
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
export function codesOf(custody: Custody, { client }: CaseFile, now: number): CodesByAge {
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

/** Asked of the store only where it makes a difference: a message that would count as a repeated one. */
export async function spentAtOf<T>(
  tx: Kysely<Database>,
  { time }: Hearing<T>,
  { pulse }: CaseFile,
  { standing, number }: LinkOnFile,
): Promise<number | null> {
  if (standing !== 'spent' || number === null || time === null || time > pulse.lastTime) return null;
  return spentTime(tx, number, pulse);
}
