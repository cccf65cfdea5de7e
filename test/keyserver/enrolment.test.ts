import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { totpItem } from '../../keyserver/clients/client.ts';
import { findClient, resetClient, revokeClient } from '../../keyserver/clients/client-admin.ts';
import { codeLifetimeMs, enrol, enrolRequest } from '../../keyserver/clients/enrolment.ts';
import { systemRandom } from '../../platform/clock.ts';
import { sha256 } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { isWithin } from '../../platform/listening/network.ts';
import { parseInput } from '../../platform/schema.ts';
import { totpSecretBytes } from '../../platform/totp.ts';
import { makeTestData, someMoment, type TestData } from './test-data.ts';

let test: TestData;
let code: string;
let client: string;
beforeEach(async () => {
  test = await makeTestData();
  ({ code, clientId: client } = await test.add());
});
afterEach(() => test.remove());

interface Attempt {
  readonly source?: string;
  readonly csr?: string;
  readonly at?: number;
}

function attempt(text: string, { source = '127.0.0.1', csr, at }: Attempt = {}) {
  test.clock.set(at ?? test.clock.now());
  const request = { code: Buffer.from(text, 'base64url'), ...(csr !== undefined && { csr }) };
  return enrol(request, source, {
    store: test.data.store,
    vault: test.vault,
    clock: test.clock,
    random: systemRandom,
    ca: test.data.ca,
    isAllowedSource: isWithin,
    signRequest: () => Promise.reject(new LatchkeyError('csr_refused', 'refused', { status: 400 })),
  });
}

/** Everything an enrolment may change. */
const state = () =>
  test.data.store.read(async (tx) => ({
    clients: await tx.selectFrom('client').selectAll().execute(),
    codes: await tx.selectFrom('enrolment').selectAll().execute(),
    links: await tx.selectFrom('link').selectAll().execute(),
    audit: await tx.selectFrom('audit').select('seq').execute(),
  }));

const refused = { code: 'unauthorized', status: 401, message: 'the credentials were not accepted' };

describe('enrol()', () => {
  it.each<[string, () => Promise<[string, Attempt]>]>([
    ['a code nobody made', async () => [systemRandom(32).toString('base64url'), {}]],
    ['a code from a foreign network', async () => [code, { source: '192.0.2.1' }]],
    ['a code at the end of its day', async () => [code, { at: someMoment + codeLifetimeMs }]],
    ['a code after its day', async () => [code, { at: someMoment + codeLifetimeMs + 1 }]],
    [
      'a code of a revoked client',
      async () => {
        await test.data.store.transaction(async (tx) => revokeClient(tx, await findClient(tx, client), someMoment));
        return [code, {}];
      },
    ],
    [
      'a code that a later one replaced',
      async () => {
        await test.data.store.transaction(async (tx) =>
          resetClient(tx, await findClient(tx, client), false, someMoment, systemRandom),
        );
        return [code, {}];
      },
    ],
  ])('refuses %s like any other, and changes nothing', async (_, prepare) => {
    const [text, options] = await prepare();
    const before = await state();
    await expect(attempt(text, options)).rejects.toMatchObject(refused);
    expect(await state()).toEqual(before);
  });
  it('refuses a code the second time', async () => {
    await attempt(code);
    const before = await state();
    await expect(attempt(code)).rejects.toMatchObject(refused);
    expect(await state()).toEqual(before);
  });
  it('lets one of many at once have the code', async () => {
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => attempt(code)));
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    expect((await state()).links).toHaveLength(1);
  });
  it('does not spend the code on a request for a certificate it refuses', async () => {
    const before = await state();
    await expect(attempt(code, { csr: 'weak' })).rejects.toMatchObject({ code: 'csr_refused' });
    expect(await state()).toEqual(before);
    await expect(attempt(code)).resolves.toMatchObject({ clientId: client });
  });
  it('says nothing of a request for a certificate to somebody without a code', async () => {
    await expect(attempt(systemRandom(32).toString('base64url'), { csr: 'weak' })).rejects.toMatchObject(refused);
  });
  it('takes a code a millisecond before its day is over', async () => {
    await expect(attempt(code, { at: someMoment + codeLifetimeMs - 1 })).resolves.toMatchObject({ clientId: client });
  });
  it('keeps digests and sealed secrets only, and tells the rest once', async () => {
    const told = await attempt(code);
    const { clients, links } = await state();
    const row = clients[0];
    expect(row?.state).toBe('enrolled');
    expect(Buffer.from(row?.token_hash ?? [])).toEqual(sha256(Buffer.from(told.token, 'base64url')));
    const sealed = row?.totp_sealed ?? new Uint8Array();
    expect(test.vault.open(totpItem(client), sealed)).toEqual(totpSecretBytes(told.totpSecret));
    expect(Buffer.from(links[0]?.hash ?? [])).toEqual(sha256(Buffer.from(told.link, 'base64url')));
    const everything = JSON.stringify(await state(), (_, value) =>
      value instanceof Uint8Array ? Buffer.from(value).toString('base64url') : value,
    );
    for (const secret of [code, told.token, told.link]) expect(everything).not.toContain(secret);
    expect(told.totpSecret).toMatch(/^[A-Z2-7]{32}$/);
  });
  it('gives a reset client new credentials and names the keys it had', async () => {
    const first = await attempt(code);
    const sealed = test.vault.seal({ kind: 'key', client, id: 'm.privateKey', version: 1 }, Buffer.from('k'));
    const again = await test.data.store.transaction(async (tx) => {
      await tx
        .insertInto('stored_key')
        .values({ client_id: client, key_id: 'm.privateKey', sealed, created_at: 0 })
        .execute();
      return resetClient(tx, await findClient(tx, client), false, someMoment, systemRandom);
    });
    const second = await attempt(again.code);
    expect(second).toMatchObject({ clientId: client, keys: ['m.privateKey'] });
    expect(second.token).not.toBe(first.token);
    expect(second.link).not.toBe(first.link);
  });
});

describe('enrolRequest', () => {
  const good = 'A'.repeat(43);
  it.each([
    ['no code', {}],
    ['a short code', { code: 'A'.repeat(42) }],
    ['a code with bits behind its 32 bytes', { code: `${'A'.repeat(42)}B` }],
    ['a padded code', { code: `${good}=` }],
    ['a code of numbers', { code: 1 }],
    ['an unknown member', { code: good, role: 'admin' }],
    ['a name with a line break', { code: good, name: 'a\nb' }],
    ['an oversized csr', { code: good, csr: 'A'.repeat(8193) }],
  ])('refuses %s', (_, value) => {
    expect(() => parseInput(enrolRequest, value)).toThrow(
      expect.objectContaining({ code: 'invalid_request', status: 400 }),
    );
  });
  it('takes the code alone', () => {
    expect(parseInput(enrolRequest, { code: good }).code).toEqual(Buffer.alloc(32));
  });
});
