import * as z from 'zod';
import { appendAudit } from '../../platform/audit-chain.ts';
import { constantTimeEqual, sha256 } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { parseInput } from '../../platform/schema.ts';
import { keyItem } from '../clients/client.ts';
import { recordDenial } from '../denial-record.ts';
import { hear } from '../hearing.ts';
import { refusalError } from '../refusal.ts';
import { findKey, openKey } from '../stored-key.ts';
import { keyId, storeBody } from '../wire.ts';
import type { CallHandler } from './answer.ts';
import { unsealed } from './release.ts';

const parameters = z.object({ id: keyId });

/**
 * `PUT /v1/keys/{id}`: keeps a key, once, under an escrow grant. The same bytes again are fine; other bytes under an id
 * that is taken are refused and change nothing.
 */
export const storeKey: CallHandler = async (request, caller, custody, now) => {
  const { id } = parseInput(parameters, request.params);
  const { key, grant } = parseInput(storeBody, request.body);
  const { client, source } = caller;
  const outcome = await hear(
    custody,
    {
      kind: 'store',
      caller,
      time: null,
      shown: null,
      act: async (tx, { verdicts }) => {
        if (!(await custody.redeemGrant(tx, client, grant, now))) return 'grant_refused';
        const vault = unsealed(custody, now);
        const kept = await findKey(tx, client, id);
        if (kept !== null) return constantTimeEqual(openKey(vault, client, kept), key) ? 'kept' : 'key_exists';
        const sealed = vault.seal(keyItem(client, id), key);
        await tx.insertInto('stored_key').values({ client_id: client, key_id: id, sealed, created_at: now }).execute();
        await appendAudit(tx, { time: now, event: 'key_stored', client, source, keys: [id], verdicts });
        return 'stored';
      },
    },
    now,
  );
  if (outcome.refusal !== null) throw refusalError(outcome.refusal, now);
  const result = outcome.value;
  if (result === 'stored' || result === 'kept') {
    return { status: result === 'stored' ? 201 : 200, body: { id, sha256: sha256(key).toString('hex') } };
  }
  await recordDenial(custody, { now, event: 'request_denied', code: result, source, client, call: 'store' });
  if (result === 'key_exists') {
    throw new LatchkeyError('key_exists', 'another key is kept under this id', { status: 409, field: 'id' });
  }
  throw new LatchkeyError('grant_refused', 'the grant does not allow this client to store a key now', { status: 403 });
};
