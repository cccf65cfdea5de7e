import { LatchkeyError } from '../../platform/errors.ts';
import type { AppResponse, Route } from '../../platform/http-app.ts';
import { parseInput } from '../../platform/schema.ts';
import { addToken, listTokens, removeToken, type TokenReport, tokenOrder } from '../access/api-tokens.ts';
import { allowed, type Caller } from '../access/caller.ts';
import { isoTime } from '../hub/peer-json.ts';
import type { Desk } from './desk.ts';

/** API tokens: a list, a new one, one less. */
export function tokenRoutes(desk: Desk): readonly Route[] {
  const { access, clock, store } = desk;
  return [
    {
      method: 'GET',
      path: '/api/tokens',
      bodyLimit: 0,
      handler: allowed(access, 'access:write', async () => {
        return { status: 200, body: { tokens: (await store.read(listTokens)).map(tokenBody) } };
      }),
    },
    {
      method: 'POST',
      path: '/api/tokens',
      bodyLimit: 4 * 1024,
      handler: allowed(access, 'access:write', ({ body }, caller) => make(desk, body, caller)),
    },
    {
      method: 'DELETE',
      path: '/api/tokens/:id',
      bodyLimit: 0,
      handler: allowed(access, 'access:write', async ({ params: { id = '' } }, { actor }) => {
        await store.transaction((tx) => removeToken(tx, { id }, actor, clock.now()));
        return { status: 204 };
      }),
    },
  ];
}

async function make({ clock, random, store }: Desk, body: unknown, { actor, scopes }: Caller): Promise<AppResponse> {
  const order = parseInput(tokenOrder, body);
  const beyond = order.scopes.find((scope) => !scopes.has(scope));
  if (beyond !== undefined) {
    throw new LatchkeyError('scope_missing', `nobody gives what they do not have: ${beyond}`, {
      status: 403,
      field: 'scopes',
    });
  }
  const { report, token } = await store.transaction((tx) => addToken(tx, order, actor, clock.now(), random));
  return { status: 201, body: { ...tokenBody(report), token } };
}

function tokenBody({ id, name, scopes, createdAt, expiresAt, usedAt }: TokenReport): Readonly<Record<string, unknown>> {
  const times = { createdAt: isoTime(createdAt), expiresAt: isoTime(expiresAt), usedAt: isoTime(usedAt) };
  return { id, name, scopes, ...times };
}
