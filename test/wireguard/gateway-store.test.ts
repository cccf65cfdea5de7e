import { testGateways } from './gateway-contract.ts';
import { sqlitePlace } from './hub-store.ts';

testGateways(sqlitePlace);
