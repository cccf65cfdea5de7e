import { describe, expect, test } from 'vitest';
import { gatePolicyOf, overridesOf, presets, withOverrides } from '../../keyserver/policy/policy.ts';

describe('gatePolicyOf()', () => {
  test.each([
    '',
    'null',
    '[]',
    '{"preset":"lax"}',
    '{"presence":"deny"}',
    '{"absence":119}',
    '{"absense":600}',
    '{"fingerprint":',
  ])('gives nothing for %j rather than a default', (text) =>
    expect(() => gatePolicyOf(text)).toThrow(expect.objectContaining({ code: 'policy_damaged' })),
  );

  test('refuses a schedule it cannot read', () => {
    expect(() => gatePolicyOf('{"schedule":"Europe/Nowhere daily 07:00-08:00"}')).toThrow(/time zone/);
  });

  test('is balanced when nothing was said', () => {
    expect(gatePolicyOf('{}')).toEqual(presets.balanced);
  });

  test('lays the overrides over the preset', () => {
    const text = '{"absence":3600,"fingerprint":"alert","preset":"strict","schedule":"UTC daily 07:00-08:00"}';
    expect(gatePolicyOf(text)).toMatchObject({
      ...presets.strict,
      fingerprint: 'alert',
      absence: 3_600_000,
      schedule: { zone: 'UTC' },
    });
  });

  test('is parsed once for each spelling', () => {
    expect(gatePolicyOf('{"preset":"relaxed"}')).toBe(gatePolicyOf('{"preset":"relaxed"}'));
  });
});

test('the presets grow stricter from gate to gate', () => {
  const grades = ['off', 'alert', 'hold', 'deny'];
  for (const gate of ['fingerprint', 'presence', 'ownGap', 'unheard', 'habit'] as const) {
    const [relaxed = 9, balanced = 9, strict = 9] = [presets.relaxed, presets.balanced, presets.strict].map((preset) =>
      grades.indexOf(preset[gate]),
    );
    expect(relaxed <= balanced && balanced <= strict).toBe(true);
  }
});

describe('withOverrides()', () => {
  test.each([{ absence: 1 }, { fingerprint: 'maybe' }, { schedule: 'UTC' }] as object[])('refuses %j', (change) => {
    expect(() => withOverrides('{}', change)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });

  test('keeps what it does not name, and takes back what it names as null', () => {
    const one = withOverrides('{}', { preset: 'strict', habit: 'off', absence: 900 });
    expect(overridesOf(one)).toEqual({ preset: 'strict', habit: 'off', absence: 900 });
    expect(overridesOf(withOverrides(one, { habit: null, presence: 'alert' }))).toEqual({
      preset: 'strict',
      presence: 'alert',
      absence: 900,
    });
  });

  test('spells the same policy in one way', () => {
    expect(withOverrides(withOverrides('{}', { presence: 'alert' }), { absence: 900 })).toBe(
      withOverrides(withOverrides('{}', { absence: 900 }), { presence: 'alert' }),
    );
  });
});
