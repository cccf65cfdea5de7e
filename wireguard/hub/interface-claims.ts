import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { LatchkeyError } from '../../platform/errors.ts';

/** One statement on the line to the database, which holds the claims. */
export type Ask = <Row>(text: string, values?: readonly unknown[]) => Promise<readonly Row[]>;

/** The hub that keeps an interface. */
export interface Keeper {
  /** What it calls itself; `null` when the database does not tell. */
  readonly hub: string | null;
  /** Where it asks from; `null` on the database's own machine. */
  readonly address: string | null;
}

interface KeeperRow {
  readonly pid: number;
  readonly name: string | null;
  readonly address: string | null;
}

const MOST_NAME = 40;
const RETRIES = 40;
const RETRY_MS = 50;

/** What the database calls the line of a hub: its name, and which process of it. 63 bytes at the most. */
export function lineName(hub: string, id: string): string {
  return `wghub ${hub.slice(0, MOST_NAME)} ${id}`;
}

/** The number of an interface's lock, 62 bits so that both halves are positive. */
export function claimNumber(name: string): bigint {
  return createHash('sha256').update(`latchkey interface ${name}`).digest().readBigUInt64BE() >> 2n;
}

/**
 * Who keeps which interface, among the hubs of one database: each is kept by one. A claim is a lock that the database ends with the
 * line of its holder, so that it needs no clock, and a hub that was killed leaves none.
 */
export class InterfaceClaims {
  readonly #ask: Ask;
  readonly #id: string;

  constructor(ask: Ask, id: string) {
    this.#ask = ask;
    this.#id = id;
  }

  /** Claims an interface; `null` when it is this hub's now or was before, or who has it. */
  async take(name: string): Promise<Keeper | null> {
    for (let tries = 0; ; tries++) {
      const [row] = await this.#ask<{ got: boolean }>(
        `select case when exists (${heldBy} and l.pid = pg_backend_pid()) then true else pg_try_advisory_lock($3) end as got`,
        halves(name).concat(String(claimNumber(name))),
      );
      if (row?.got === true) return null;
      const keeper = await this.#row(name);
      if (tries >= RETRIES) return keeper === null ? { hub: null, address: null } : keeperOf(keeper);
      if (keeper === null) continue; // given back just now
      if (!keeper.name?.endsWith(` ${this.#id}`)) return keeperOf(keeper);
      // a line of this very process that was lost: the database has not heard of it yet
      await this.#ask('select pg_terminate_backend($1)', [keeper.pid]);
      await sleep(RETRY_MS);
    }
  }

  /** Ends a claim; nothing happens to one that is another's. */
  async giveBack(name: string): Promise<void> {
    await this.#ask(
      `select case when exists (${heldBy} and l.pid = pg_backend_pid()) then pg_advisory_unlock($3) end`,
      halves(name).concat(String(claimNumber(name))),
    );
  }

  /** Who keeps it; `null` when nobody that runs does. */
  async keeperOf(name: string): Promise<Keeper | null> {
    const row = await this.#row(name);
    return row === null ? null : keeperOf(row);
  }

  async #row(name: string): Promise<KeeperRow | null> {
    const rows = await this.#ask<KeeperRow>(
      `select l.pid, a.application_name as name, host(a.client_addr) as address ${from}`,
      halves(name),
    );
    return rows[0] ?? null;
  }
}

/** Rows of the lock whose number has these two halves. */
const from = `from pg_locks l left join pg_stat_activity a on a.pid = l.pid
  where l.locktype = 'advisory' and l.granted and l.objsubid = 1
    and l.database = (select oid from pg_database where datname = current_database())
    and l.classid = $1::bigint::oid and l.objid = $2::bigint::oid`;
const heldBy = `select 1 ${from}`;

function halves(name: string): string[] {
  const number = claimNumber(name);
  return [String(number >> 32n), String(number & 0xffff_ffffn)];
}

function keeperOf({ name, address }: KeeperRow): Keeper {
  return { hub: /^wghub (.+) [0-9a-f]{12}$/.exec(name ?? '')?.[1] ?? null, address };
}

/** For people. */
export function keeperWords({ hub, address }: Keeper): string {
  return `${hub ?? 'another hub'}${address === null ? '' : ` at ${address}`}`;
}

/** What a hub is told that wants to keep what another one keeps. */
export function keptElsewhere(name: string, keeper: Keeper): LatchkeyError {
  return new LatchkeyError('interface_kept_elsewhere', `${name} is kept by ${keeperWords(keeper)}, which is running`, {
    exit: 3,
    field: 'interface',
    hint: 'name this hub’s own as "interfaces" in config.json, or have it wait with "standBy": true: two with one key take the peers from each other',
  });
}
