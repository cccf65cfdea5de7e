import { onPostgres } from './on-postgres.ts';

// what a release moves
onPostgres('exchange', 'basic-and-store', 'enrolment', 'client-admin', 'grant');
