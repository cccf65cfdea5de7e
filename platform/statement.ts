import type { Compilable, CompiledQuery, Kysely } from 'kysely';

/** A connection that has its rows at once. */
export interface DirectConnection {
  /** Rows are for reading their columns by name; they cannot be spread or listed. */
  run(sql: string, parameters: readonly unknown[]): readonly unknown[];
}

const direct: WeakMap<object, DirectConnection> = new WeakMap();

/** Tells that statements on `db` may go straight to its only connection; Kysely's way there costs more than the query. */
export function goDirectly(db: object, connection: DirectConnection): void {
  direct.set(db, connection);
}

/** A statement as one of the databases takes it. */
interface Compiled<R> {
  readonly query: CompiledQuery<R>;
  /** Which value goes where; `null` when they go as they come. */
  readonly order: readonly number[] | null;
}

/**
 * A query that is built and compiled once, at its first use, and only bound to new values after that: building costs
 * many times what a database then needs to run it. `build` names its parameters by position with `slot(0)`, `slot(1)`, ….
 * Called, it answers the rows, to be read column by column: they cannot be spread.
 *
 * A connection that has its rows at once speaks SQLite's SQL, any other PostgreSQL's; a process may use both.
 */
export function statement<DB, P extends readonly unknown[], R = unknown>(
  build: (db: Kysely<DB>, slot: <V>(index: number) => V) => Compilable<R>,
): (db: Kysely<DB>, ...parameters: P) => readonly R[] | Promise<readonly R[]> {
  let here: Compiled<R> | null = null;
  let remote: Compiled<R> | null = null;
  const compile = (db: Kysely<DB>, count: number): Compiled<R> => {
    const query = build(db, <V>(index: number) => new Slot(index) as V).compile();
    const slots = query.parameters.map(slotIndex);
    const asTheyCome = slots.length === count && slots.every((slot, index) => slot === index);
    return { query: query as CompiledQuery<R>, order: asTheyCome ? null : slots };
  };
  return (db, ...parameters) => {
    const connection = direct.get(db);
    if (connection === undefined) {
      remote ??= compile(db, parameters.length);
      return rowsOf(db, { ...remote.query, parameters: bound(remote, parameters) });
    }
    here ??= compile(db, parameters.length);
    return connection.run(here.query.sql, bound(here, parameters)) as readonly R[];
  };
}

function bound({ order }: Compiled<unknown>, parameters: readonly unknown[]): readonly unknown[] {
  return order === null ? parameters : order.map((index) => parameters[index]);
}

async function rowsOf<DB, R>(db: Kysely<DB>, query: CompiledQuery<R>): Promise<readonly R[]> {
  return (await db.executeQuery(query)).rows;
}

class Slot {
  readonly index: number;

  constructor(index: number) {
    this.index = index;
  }
}

function slotIndex(value: unknown): number {
  if (value instanceof Slot) return value.index;
  throw new TypeError('a compiled statement takes all its values by slots');
}
