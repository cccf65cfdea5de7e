import { describe } from 'vitest';
import { testSpokes } from './spoke-contract.ts';

describe('spokes on SQLite', () => testSpokes(() => ({})));
