import type * as z from 'zod';
import { LatchkeyError } from './errors.ts';

/** What a zod issue says, without the value it was about. */
function wordsOf(issue: z.core.$ZodIssue): { field: string; words: string } {
  const path = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') {
    const named = issue.keys.filter((key) => /^[\w.-]{1,64}$/.test(key));
    const field = [path, named[0] ?? ''].filter((part) => part !== '').join('.');
    return { field: field === '' ? 'body' : field, words: 'is not a known field' };
  }
  const field = path === '' ? 'body' : path;
  if (issue.code === 'invalid_type') return { field, words: `must be ${article(issue.expected)}` };
  if (issue.code === 'too_big') return { field, words: `must be at most ${issue.maximum}${unitOf(issue.origin)}` };
  if (issue.code === 'too_small') return { field, words: `must be at least ${issue.minimum}${unitOf(issue.origin)}` };
  if (issue.code === 'custom' || issue.code === 'invalid_format') return { field, words: issue.message };
  return { field, words: 'has a value that is not allowed' };
}

function article(type: string): string {
  const names: Record<string, string> = { object: 'an object', array: 'a list', int: 'an integer', string: 'a string' };
  return names[type] ?? `a ${type}`;
}

function unitOf(origin: string): string {
  if (origin === 'string') return ' characters long';
  return origin === 'array' ? ' entries long' : '';
}

/**
 * Turns an outside value into a typed one, or throws `invalid_request` (400, exit 2) naming the first field that is
 * wrong. Give schemas their words by `z.string().regex(…, 'must be …')`: they are shown as they stand, and the value
 * itself never is.
 */
export function parseInput<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value, { reportInput: false });
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const { field, words } = issue === undefined ? { field: 'body', words: 'is not valid' } : wordsOf(issue);
  throw new LatchkeyError('invalid_request', `"${field}" ${words}`, { status: 400, exit: 2, field });
}
