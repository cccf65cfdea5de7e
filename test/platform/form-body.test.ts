import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LatchkeyError } from '../../platform/errors.ts';
import { parseForm } from '../../platform/form-body.ts';

test.each([
  ['a name that comes twice', 'a=1&b=2&a=3'],
  ['no equals sign', 'a'],
  ['no name', '=1'],
  ['an empty pair', 'a=1&'],
  ['an encoded name', '%61=1'],
  ['a name with brackets', 'a[b]=1'],
  ['a name of the prototype', '__proto__=1'],
  ['a broken percent sign', 'a=%'],
  ['half a percent sign', 'a=%4'],
  ['bytes that are no UTF-8', 'a=%ff'],
  ['an overlong spelling', 'a=%c0%af'],
  ['a surrogate', 'a=%ed%a0%80'],
  ['a plain space', 'a=1 2'],
  ['a second equals sign', 'a=1=2'],
  ['a semicolon', 'a=1;b=2'],
  ['33 fields', Array.from({ length: 33 }, (_, n) => `f${n}=`).join('&')],
])('parseForm() refuses %s', (_what, text) => {
  expect(() => parseForm(text)).toThrow(LatchkeyError);
});

test('parseForm() does not repeat what it refuses', () => {
  for (const text of ['a=CANARY%', 'CANARY', 'a=%ffCANARY']) {
    expect(() => parseForm(text)).toThrow(expect.objectContaining({ message: expect.not.stringContaining('CANARY') }));
  }
});

test('parseForm() reads what URLSearchParams writes', () => {
  const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_]{0,8}$/);
  const value = fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\r') && text.isWellFormed());
  fc.assert(
    fc.property(fc.dictionary(name, value, { maxKeys: 8 }), (fields) => {
      expect(parseForm(new URLSearchParams(fields).toString())).toEqual({ ...fields });
    }),
  );
});

test('parseForm() reads an empty form, plus signs and line ends', () => {
  expect(parseForm('')).toEqual({});
  expect(parseForm('a=1+2%2B3&b=x%0D%0Ay')).toEqual({ a: '1 2+3', b: 'x\ny' });
});
