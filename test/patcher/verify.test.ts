import { describe, expect, test } from 'vitest';
import type { Occ } from '../../patcher/actions/action.ts';
import type { Facts } from '../../patcher/facts.ts';
import { verify, verifyRepair } from '../../patcher/verify.ts';
import { exampleFacts } from './example-facts.ts';

const silent = { step: () => undefined, note: () => undefined };
const files = { path: '/apps/remotekeystorage', version: '1.0.0', content: {} };
const facts: Facts = exampleFacts({
  app: { state: 'escrowed', enabled: true, installedVersion: '1.0.0', files },
});

/** Answers as the app does whose keys have moved. */
function occ(answers: { readonly hook?: string; readonly verify: object }): Occ {
  const status = {
    ...{ enrolled: true, clientId: 'c', urls: [], keys: ['master_1.privateKey'], hook: answers.hook ?? 'app' },
    ...{ version: '1.0.0', sessionsKeyFree: true, problems: [] },
  };
  return async ([command]) => {
    const answer = command === 'remotekey:status' ? status : answers.verify;
    return { exit: 'error' in answer ? 1 : 0, stdout: Buffer.from(JSON.stringify(answer)), stderr: '' };
  };
}

const refusal = (code: string) => ({ error: { code, message: 'no key today', hint: 'look there' } });
const away = [
  'unreachable',
  'timeout',
  'tls_failed',
  'sealed',
  'degraded',
  'locked',
  'approval_pending',
  'unauthorized',
];

describe('verifyRepair()', () => {
  test.each(away)('keeps a repair when the key server is %s, and says what was not shown', async (code) => {
    await expect(verifyRepair(occ({ verify: refusal(code) }), facts, silent)).resolves.toEqual({
      hook: 'app',
      release: null,
      decrypt: null,
      files: null,
      untried: { code, message: 'no key today', hint: 'look there' },
    });
  });

  test('does not keep an app that nextcloud does not ask', async () => {
    const off = occ({ hook: 'off', verify: refusal('unreachable') });
    await expect(verifyRepair(off, facts, silent)).rejects.toMatchObject({ code: 'hook_off' });
  });

  test('does not keep one whose key opens nothing', async () => {
    const useless = { release: true, decrypt: false, ms: 5, verdict: 'key_unusable' };
    await expect(verifyRepair(occ({ verify: useless }), facts, silent)).rejects.toMatchObject({
      code: 'decryption_failed',
    });
  });

  test.each(['state_owner', 'occ_failed', 'key_unusable'])('does not keep one that ends with %s', async (code) => {
    await expect(verifyRepair(occ({ verify: refusal(code) }), facts, silent)).rejects.toMatchObject({ code });
  });

  test('a release and a decryption leave nothing untried', async () => {
    const good = { release: true, decrypt: true, ms: 5, verdict: 'ok' };
    await expect(verifyRepair(occ({ verify: good }), facts, silent)).resolves.toMatchObject({ untried: null });
  });
});

test('verify() itself does not pass over a key server that is away', async () => {
  await expect(verify(occ({ verify: refusal('unreachable') }), facts, silent)).rejects.toMatchObject({
    code: 'unreachable',
  });
});
