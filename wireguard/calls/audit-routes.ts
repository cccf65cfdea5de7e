import { readAudit } from '../../platform/audit-chain.ts';
import { parseInteger } from '../../platform/encoding.ts';
import type { Route } from '../../platform/http-app.ts';
import { allowed } from '../access/caller.ts';
import type { Desk } from './desk.ts';

const mostRecords = 1_000;

/** The audit log, page by page, oldest first. */
export function auditRoutes({ access, store }: Desk): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/api/audit',
      bodyLimit: 0,
      query: ['after', 'limit'],
      handler: allowed(access, 'audit:read', async ({ query }) => {
        const after = parseInteger(query.after ?? '0', 'after', { min: 0, max: Number.MAX_SAFE_INTEGER });
        const limit = parseInteger(query.limit ?? '100', 'limit', { min: 1, max: mostRecords });
        const rows = await store.read((db) => readAudit(db, after, limit));
        const records = rows.map(({ body, hash }) => ({
          ...(JSON.parse(body) as object),
          hash: Buffer.from(hash).toString('hex'),
        }));
        return { status: 200, body: { records, next: rows.length === limit ? (rows.at(-1)?.seq ?? null) : null } };
      }),
    },
  ];
}
