import type { Compilable, CompiledQuery, Kysely } from 'kysely';

/**
 * A query that is built and compiled once, at its first use, and only bound to new values after that: building costs
 * many times what SQLite then needs to run it. `build` names its parameters by position with `slot(0)`, `slot(1)`, ….
 *
 * One process speaks one SQL dialect, so the first database seen decides it.
 */
export function statement<DB, P extends readonly unknown[], R = unknown>(
  build: (db: Kysely<DB>, slot: <V>(index: number) => V) => Compilable<R>,
): (db: Kysely<DB>, ...parameters: P) => CompiledQuery<R> {
  let compiled: CompiledQuery<R> | null = null;
  let order: readonly number[] = [];
  return (db, ...parameters) => {
    if (compiled === null) {
      const query = build(db, <V>(index: number) => new Slot(index) as V).compile();
      order = query.parameters.map(slotIndex);
      compiled = query as CompiledQuery<R>;
    }
    return { ...compiled, parameters: order.map((index) => parameters[index]) };
  };
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
