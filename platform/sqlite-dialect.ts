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
  readonly givesRows: boolean;
}

const noRows: readonly unknown[] = [];

/** One SQLite connection of Node's own driver, for Kysely. Everything it does is done when its call returns. */
export class SqliteConnection implements DatabaseConnection, DirectConnection {
  readonly database: DatabaseSync;
  readonly #statements = new Map<string, Prepared>();

  constructor(database: DatabaseSync) {
    this.database = database;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const { statement, givesRows } = this.#prepare(query.sql);
    const parameters = query.parameters as SQLInputValue[];
    if (givesRows) return { rows: statement.all(...parameters) as R[] };
    const { changes, lastInsertRowid } = statement.run(...parameters);
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) };
  }

  run(sql: string, parameters: readonly unknown[]): readonly unknown[] {
    const { statement, givesRows } = this.#prepare(sql);
    if (givesRows) return statement.all(...(parameters as SQLInputValue[]));
    statement.run(...(parameters as SQLInputValue[]));
    return noRows;
  }

  // biome-ignore lint/correctness/useYield: the interface wants a generator; nothing here needs to stream
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new TypeError('streaming is not part of this store');
  }

  #prepare(sql: string): Prepared {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    if (this.#statements.size >= maxStatements) this.#statements.clear();
    const statement = this.database.prepare(sql);
    const prepared = { statement, givesRows: statement.columns().length > 0 };
    this.#statements.set(sql, prepared);
    return prepared;
  }
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
