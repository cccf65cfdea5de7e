import { afterAll, beforeAll, describe } from 'vitest';
import { postgresMissing, TestPostgres } from '../harness/postgres.ts';
import { keepStateIn } from './test-store.ts';

/** The files whose tests pull at the state, once more with a PostgreSQL of their own. */
describe.skipIf(postgresMissing() !== null)('on PostgreSQL', async () => {
  let postgres: TestPostgres;
  beforeAll(async () => {
    postgres = await TestPostgres.start();
    keepStateIn(postgres);
  });
  afterAll(async () => {
    keepStateIn(null);
    await postgres.stop();
  });

  describe('exchange', async () => void (await import('./exchange.test.ts')));
  describe('basic and store', async () => void (await import('./basic-and-store.test.ts')));
  describe('enrolment', async () => void (await import('./enrolment.test.ts')));
  describe('client admin', async () => void (await import('./client-admin.test.ts')));
  describe('grant', async () => void (await import('./grant.test.ts')));
});
