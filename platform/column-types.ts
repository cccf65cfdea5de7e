import type { Expression, RawNode } from 'kysely';

/** How PostgreSQL spells what SQLite spells otherwise; `postgres-dialect.ts` looks here when it compiles. */
const postgresSpellings: WeakMap<object, string> = new WeakMap();

/** A piece of a table's definition that each of the two databases spells in its own way. */
class Spelling implements Expression<unknown> {
  readonly #node: RawNode;

  constructor(sqlite: string, postgres: string) {
    this.#node = Object.freeze({ kind: 'RawNode', sqlFragments: [sqlite], parameters: [] } as const);
    postgresSpellings.set(this.#node, postgres);
  }

  get expressionType(): undefined {
    return undefined;
  }

  toOperationNode(): RawNode {
    return this.#node;
  }
}

/** What stands for `node` on PostgreSQL; `undefined` when both databases spell it alike. */
export function postgresSpelling(node: RawNode): string | undefined {
  return postgresSpellings.get(node);
}

/** The type of a column of raw bytes, for `addColumn`. */
export const bytes: Expression<unknown> = new Spelling('blob', 'bytea');

/** The type of a number that is its table's primary key and counts on: SQLite files such a table by it. */
export const rowNumber: Expression<unknown> = new Spelling('integer', 'bigint');

/** For a table that is filed by its primary key, when that is not a number: `modifyEnd(clustered)`. PostgreSQL has heaps. */
export const clustered: Expression<unknown> = new Spelling('without rowid', '');
