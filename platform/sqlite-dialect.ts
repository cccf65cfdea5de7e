import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import type { DirectConnection } from './statement.ts';

/** Prepared statements that are kept at the most; a program has some dozens of different ones. */
const maxStatements = 500;

interface Prepared {
  readonly statement: StatementSync;
  /** Asked once: listing the columns costs as much as a short query. */
  readonly columns: readonly string[];
}

/** The same, asked for rows by position, and what reads those by name; `null` for a statement that gives none. */
interface PreparedDirectly {
  readonly statement: StatementSync;
  readonly view: RowView | null;
}

type RowView = new (values: readonly unknown[]) => object;

const noRows: readonly unknown[] = [];

/** One SQLite connection of Node's own driver, for Kysely. Everything it does is done when its call returns. */
export class SqliteConnection implements DatabaseConnection, DirectConnection {
  readonly database: DatabaseSync;
  readonly #statements = new Map<string, Prepared>();
  readonly #direct = new Map<string, PreparedDirectly>();

  constructor(database: DatabaseSync) {
    this.database = database;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const { statement, columns } = kept(this.#statements, query.sql, () => this.#prepare(query.sql));
    const parameters = query.parameters as SQLInputValue[];
    if (columns.length > 0) return { rows: statement.all(...parameters) as R[] };
    const { changes, lastInsertRowid } = statement.run(...parameters);
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) };
  }

  run(sql: string, parameters: readonly unknown[]): readonly unknown[] {
    const { statement, view } = kept(this.#direct, sql, () => this.#prepareDirectly(sql));
    const values = parameters as SQLInputValue[];
    if (view === null) {
      statement.run(...values);
      return noRows;
    }
    const rows = statement.all(...values) as unknown as unknown[][];
    return rows.map((row) => new view(row));
  }

  // biome-ignore lint/correctness/useYield: the interface wants a generator; nothing here needs to stream
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new TypeError('streaming is not part of this store');
  }

  #prepare(sql: string): Prepared {
    const statement = this.database.prepare(sql);
    return { statement, columns: statement.columns().map(({ name }) => name) };
  }

  #prepareDirectly(sql: string): PreparedDirectly {
    const { statement, columns } = this.#prepare(sql);
    statement.setReturnArrays(true);
    return { statement, view: columns.length === 0 ? null : viewOf(columns) };
  }
}

function kept<V>(statements: Map<string, V>, sql: string, prepare: () => V): V {
  const known = statements.get(sql);
  if (known !== undefined) return known;
  if (statements.size >= maxStatements) statements.clear();
  const prepared = prepare();
  statements.set(sql, prepared);
  return prepared;
}

/**
 * Rows as objects that look their values up. Node's own are dictionaries, made anew name by name: for a row of sixty columns
 * that takes twice as long as the query.
 */
function viewOf(columns: readonly string[]): RowView {
  const values = Symbol('values');
  class View {
    readonly [values]: readonly unknown[];

    constructor(row: readonly unknown[]) {
      this[values] = row;
    }
  }
  for (const [index, name] of columns.entries()) {
    Object.defineProperty(View.prototype, name, {
      get(this: View): unknown {
        return this[values][index];
      },
    });
  }
  return View;
}

/** Kysely's dialect over one connection; Kysely's own transactions on it are for migrations only. */
export function sqliteDialect(connection: SqliteConnection): Dialect {
  const driver: Driver = {
    init: async () => undefined,
    acquireConnection: async () => connection,
    beginTransaction: async () => connection.database.exec('begin immediate'),
    commitTransaction: async () => connection.database.exec('commit'),
    rollbackTransaction: async () => connection.database.exec('rollback'),
    releaseConnection: async () => undefined,
    destroy: async () => connection.database.close(),
  };
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => driver,
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}
