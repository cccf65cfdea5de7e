import { type Dialect, PostgresDialect, type PostgresPool, PostgresQueryCompiler, type RawNode } from 'kysely';
import { postgresSpelling } from './column-types.ts';

/** Where Kysely gets its connections from. */
export interface Connections {
  connect(): Promise<{
    query(text: string, values?: readonly unknown[]): Promise<{ command: string; rowCount: number; rows: unknown[] }>;
    release(): void;
  }>;
  end(): Promise<void>;
}

/** Kysely's dialect, which also knows what `column-types.ts` is called here. */
export function postgresDialect(connections: Connections): Dialect {
  return new OurDialect({ pool: connections as PostgresPool }); // without cursors, which nobody here asks for
}

class OurDialect extends PostgresDialect {
  override createQueryCompiler(): PostgresQueryCompiler {
    return new OurCompiler();
  }
}

class OurCompiler extends PostgresQueryCompiler {
  protected override visitRaw(node: RawNode): void {
    const spelling = postgresSpelling(node);
    if (spelling === undefined) super.visitRaw(node);
    else this.append(spelling);
  }
}
