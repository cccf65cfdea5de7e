import { expect, test } from 'vitest';
import { findTotpStep, totpCode, totpCodes, totpStep } from '../../platform/totp.ts';

const secret = Buffer.from('12345678901234567890');

test.each([
  [59, '287082'],
  [1111111109, '081804'],
  [1111111111, '050471'],
  [1234567890, '005924'],
  [2000000000, '279037'],
  [20000000000, '353130'],
])('totpCode() gives the last six digits of the RFC 6238 vector at %i s', (seconds, code) => {
  expect(totpCode(secret, totpStep(seconds * 1000))).toBe(code);
});

test('findTotpStep() takes one step back and one ahead, and refuses two', () => {
  const now = 1_234_567_890_000;
  const step = totpStep(now);
  const codes = totpCodes(secret, now);
  for (const skew of [-1, 0, 1]) expect(findTotpStep(codes, totpCode(secret, step + skew), -1)).toBe(step + skew);
  for (const skew of [-2, 2]) expect(findTotpStep(codes, totpCode(secret, step + skew), -1)).toBeNull();
});

test('findTotpStep() refuses a code whose step was used, and any step before it', () => {
  const now = 1_234_567_890_000;
  const step = totpStep(now);
  const codes = totpCodes(secret, now);
  expect(findTotpStep(codes, totpCode(secret, step), step)).toBeNull();
  expect(findTotpStep(codes, totpCode(secret, step - 1), step)).toBeNull();
  expect(findTotpStep(codes, totpCode(secret, step + 1), step)).toBe(step + 1);
});

test('findTotpStep() refuses what is no code', () => {
  const codes = totpCodes(secret, 59_000);
  expect(codes.map(({ code }) => code.toString())).toContain('287082');
  for (const text of ['', '287 82', '2870820', '28708']) expect(findTotpStep(codes, text, -1)).toBeNull();
});
