import { afterAll, beforeAll, describe } from 'vitest';
import { postgresMissing, TestPostgres } from '../harness/postgres.ts';
import { keepStateIn } from './test-store.ts';

/** Test files of this folder once more, with the state of their servers in a PostgreSQL of their own. */
export function onPostgres(...names: readonly string[]): void {
  describe.skipIf(postgresMissing() !== null)('on PostgreSQL', () => {
    let postgres: TestPostgres;
    beforeAll(async () => {
      postgres = await TestPostgres.start();
      keepStateIn(postgres);
    });
    afterAll(async () => {
      keepStateIn(null);
      await postgres.stop();
    });
    for (const name of names) describe(name, async () => void (await import(`./${name}.test.ts`)));
  });
}
