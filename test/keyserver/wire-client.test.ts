import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../platform/run.ts';
import { Cleanup } from '../harness/cleanup.ts';
import { KeyServer } from '../harness/keyserver-process.ts';
import { hasProgram } from '../harness/programs.ts';

interface Step {
  readonly step: string;
  readonly status: number;
  readonly body: Record<string, unknown>;
}

const keyId = 'master_1c3e56e0.privateKey';

/** What each call of wire_client.py must be answered: status and, for a refusal, the stable code. */
const expected: readonly (readonly [step: string, status: number, code?: string])[] = [
  ['health', 200],
  ['enroll with a wrong request', 400, 'csr_refused'],
  ['enroll', 201],
  ['enroll again', 401, 'unauthorized'],
  ['without the certificate', 401, 'unauthorized'],
  ['store', 201],
  ['store the same', 200],
  ['store another', 409, 'key_exists'],
  ['store a path', 400, 'invalid_request'],
  ['store without grant', 403, 'grant_refused'],
  ['open', 200],
  ['release', 200],
  ['open again', 200],
  ['the same message twice', 409, 'stale_message'],
  ['open beside it', 200],
  ['release with another session', 409, 'stale_message'],
  ['release with its own session', 200],
  ['open and crash', 200],
  ['open after the crash', 200],
  ['release an unknown key', 404, 'not_found'],
  ['open once more', 200],
  ['release again', 200],
  ['heartbeat', 200],
  ['heartbeat with a notice', 200],
  ['heartbeat with the same notice', 200],
  ['heartbeat with a notice of no kind', 400, 'invalid_request'],
  ['renew without a code', 401, 'unauthorized'],
  ['renew with a wrong request', 400, 'csr_refused'],
  ['renew', 200],
  ['heartbeat with the old certificate', 200],
  ['heartbeat with the new certificate', 200],
  ['heartbeat with the old certificate again', 401, 'unauthorized'],
  ['wrong token', 401, 'unauthorized'],
  ['wrong totp', 401, 'unauthorized'],
  ['no credentials', 401, 'unauthorized'],
  ['unknown link', 401, 'unauthorized'],
  ['a clock that is late', 409, 'stale_message'],
  ['unknown field', 400, 'invalid_request'],
  ['unknown reason', 400, 'invalid_request'],
  ['basic without permission', 403, 'basic_disabled'],
  ['seen ahead', 200],
  ['a spent link', 423, 'locked'],
  ['after the fork', 423, 'locked'],
  ['heartbeat after the fork', 200],
];

describe.skipIf(!hasProgram('python3') || !hasProgram('openssl'))('a client written in another language', () => {
  const cleanup = new Cleanup();
  let folder: string;
  let steps: Step[];
  let audit: { ok: boolean };
  let tail: string;
  const body = (name: string): Record<string, unknown> => steps.find((step) => step.step === name)?.body ?? {};

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'latchkey-wire-'));
    const server = await KeyServer.init({ data: join(folder, 'data'), port: 17443, cleanup });
    await server.start();
    const invitation = await server.addClient('python');
    const script = join(import.meta.dirname, 'wire_client.py');
    const { stdout } = await run(['python3', script], { input: JSON.stringify(invitation), timeoutMs: 30_000 });
    steps = stdout
      .toString('utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Step);
    audit = (await server.command(['audit', 'verify'])).json() as { ok: boolean };
    tail = (await server.command(['audit', 'tail'])).stdout;
  });
  afterAll(async () => {
    await cleanup.run();
    rmSync(folder, { recursive: true, force: true });
  });

  it('is answered at each step as the protocol says', () => {
    const got = steps.map(({ step, status, body: { code } }) => (status < 400 ? [step, status] : [step, status, code]));
    expect(got).toEqual(expected);
  });

  it('gets back the very bytes it stored, with a policy and a head that moves', () => {
    const key = Buffer.concat(Array.from({ length: 90 }, () => createHash('sha256').update('a key').digest()));
    expect(body('release')).toMatchObject({
      keys: { [keyId]: key.toString('base64') },
      policy: { ttl: 3600, staleIfError: 86_400 },
    });
    expect(body('store')).toEqual({ id: keyId, sha256: createHash('sha256').update(key).digest('hex') });
    const seq = (name: string) => (body(name).head as { seq: number }).seq;
    expect(seq('release again')).toBeGreaterThan(seq('release'));
  });

  it('is told one and the same for a wrong token, code, certificate, link or none at all', () => {
    const wrong = ['wrong token', 'wrong totp', 'no credentials', 'unknown link', 'without the certificate'];
    const replaced = 'heartbeat with the old certificate again';
    const answers = [...wrong, replaced].map((name) => JSON.stringify(body(name)));
    expect(new Set(answers).size).toBe(1);
  });

  it('is told why it is locked, and to forget its key', () => {
    expect(body('a spent link')).toMatchObject({ reason: 'fork' });
    expect(body('heartbeat')).toMatchObject({ state: 'ok' });
    expect(body('heartbeat after the fork')).toMatchObject({ state: 'purge' });
  });

  it('leaves an audit log that verifies and names the fork and the rollback', () => {
    expect(audit.ok).toBe(true);
    expect(tail).toContain('fork_detected');
    expect(tail).toContain('server_rollback_suspected');
  });
});
