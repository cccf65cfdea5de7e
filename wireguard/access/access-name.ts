import * as z from 'zod';

/** What accounts, tokens and keys are called. */
export const accessName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'must be 1 to 63 of a-z 0-9 . _ - and start with a letter or digit');
