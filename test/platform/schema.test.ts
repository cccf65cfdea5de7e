import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import { parseInput } from '../../platform/schema.ts';

const schema = z.strictObject({
  name: z.string().max(8),
  port: z.int().min(1).max(65535),
  list: z.array(z.string().regex(/^[a-z]+$/, 'must be lower-case letters')).max(2),
  deep: z.strictObject({ flag: z.boolean() }),
});
const good = { name: 'a', port: 80, list: ['x'], deep: { flag: true } };

function refusal(value: unknown): LatchkeyError {
  try {
    parseInput(schema, value);
  } catch (error) {
    if (error instanceof LatchkeyError) return error;
    throw error;
  }
  throw new Error('was not refused');
}

describe('parseInput()', () => {
  it.each([
    [{ ...good, port: '80canary' }, 'port'],
    [{ ...good, port: 0 }, 'port'],
    [{ ...good, port: 1.5 }, 'port'],
    [{ ...good, name: 'canary-canary' }, 'name'],
    [{ ...good, list: ['x', 'CANARY'] }, 'list.1'],
    [{ ...good, list: ['x', 'y', 'z'] }, 'list'],
    [{ ...good, deep: { flag: true, more: 'canary' } }, 'deep.more'],
    [{ ...good, deep: null }, 'deep'],
    [{ name: 'a' }, 'port'],
    [null, 'body'],
    ['canary', 'body'],
    [[], 'body'],
  ])('refuses %j naming the field and not the value', (value, field) => {
    const error = refusal(value);
    expect([error.code, error.status, error.exit, error.field]).toEqual(['invalid_request', 400, 2, field]);
    expect(error.message.startsWith(`"${field}" `)).toBe(true);
    expect(error.message.toLowerCase()).not.toContain('canary');
  });

  it('shows an unknown field by its name only where the name is harmless', () => {
    expect(refusal({ ...good, '<script>': 1 }).message).toBe('"body" is not a known field');
    expect(refusal({ ...good, extra: 1 }).message).toBe('"extra" is not a known field');
  });

  it('uses the words the schema gives', () => {
    expect(refusal({ ...good, list: ['A'] }).message).toBe('"list.0" must be lower-case letters');
  });

  it('returns the typed value', () => {
    expect(parseInput(schema, good)).toEqual(good);
  });
});
