import { X509Certificate } from 'node:crypto';
import type { Kysely } from 'kysely';
import type { Clock } from '../../platform/clock.ts';
import type { Store } from '../../platform/store.ts';
import type { Database } from '../schema.ts';
import { isIssuedBy } from './identity.ts';

/** How long clients are told that an authority ended, ms: a client that was off meanwhile drops it when it is back. */
export const farewell = 90 * 86_400_000;
/** A certificate of an unknown issuer makes the list be read anew, but not more often than this, ms. */
const refreshEvery = 1_000;

/** An authority whose certificates hold. */
export interface Authority {
  readonly serial: string;
  /** PEM. */
  readonly certificate: string;
  readonly issuedAt: number;
  readonly notAfter: number;
}

/** The authorities whose certificates hold, the one that signs first. One, or two while one takes the other's place. */
export async function readAuthorities(tx: Kysely<Database>): Promise<Authority[]> {
  const rows = await tx
    .selectFrom('certificate')
    .select(['serial', 'pem', 'issued_at', 'not_after'])
    .where('purpose', '=', 'ca')
    .where('revoked_at', 'is', null)
    .orderBy('issued_at', 'desc')
    .orderBy('serial')
    .execute();
  return rows.map((row) => ({
    serial: row.serial,
    certificate: row.pem,
    issuedAt: row.issued_at,
    notAfter: row.not_after,
  }));
}

/** Their certificates in PEM as a client trusts them, the one that signs first. */
export function bundleOf(authorities: readonly Authority[]): string {
  return authorities.map(({ certificate }) => certificate).join('');
}

/**
 * What a running server knows of its authorities: read when it starts, when its housekeeping looks, and when somebody
 * shows a certificate of an issuer it does not know. A command beside it may have changed them.
 */
export class Authorities {
  readonly #store: Store<Database>;
  readonly #clock: Clock;
  #list: readonly (Authority & { readonly parsed: X509Certificate })[] = [];
  #bundle = '';
  #changedAt: number | null = null;
  #readAt = 0;

  private constructor(store: Store<Database>, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  static async load(store: Store<Database>, clock: Clock): Promise<Authorities> {
    const authorities = new Authorities(store, clock);
    await authorities.refresh();
    return authorities;
  }

  /** Reads them anew; true when they are not the same as before. */
  async refresh(): Promise<boolean> {
    this.#readAt = this.#clock.now();
    const { list, endedAt } = await this.#store.read(async (tx) => ({
      list: await readAuthorities(tx),
      endedAt: await lastEnd(tx),
    }));
    const bundle = bundleOf(list);
    this.#changedAt = list.length > 1 ? Number.POSITIVE_INFINITY : endedAt;
    if (bundle === this.#bundle) return false;
    this.#list = list.map((one) => ({ ...one, parsed: new X509Certificate(one.certificate) }));
    this.#bundle = bundle;
    return true;
  }

  /** What a new client is told to trust, PEM. */
  get bundle(): string {
    return this.#bundle;
  }

  /** What present clients are told to trust from now on: only while that changes and some time after. */
  news(now: number): string | null {
    return this.#changedAt !== null && now < this.#changedAt + farewell ? this.#bundle : null;
  }

  /** The serial of the authority that signed this certificate, `null` when none of ours did. */
  async issuerOf(certificate: X509Certificate): Promise<string | null> {
    const known = this.#find(certificate);
    if (known !== null || Math.abs(this.#clock.now() - this.#readAt) < refreshEvery) return known;
    return (await this.refresh()) ? this.#find(certificate) : null;
  }

  #find(certificate: X509Certificate): string | null {
    return this.#list.find(({ parsed }) => isIssuedBy(certificate, parsed))?.serial ?? null;
  }
}

async function lastEnd(tx: Kysely<Database>): Promise<number | null> {
  const row = await tx
    .selectFrom('certificate')
    .select((eb) => eb.fn.max('revoked_at').as('at'))
    .where('purpose', '=', 'ca')
    .executeTakeFirst();
  return row?.at === null || row?.at === undefined ? null : Number(row.at);
}
