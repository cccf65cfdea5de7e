import * as z from 'zod';
import type { Route } from '../../platform/http-app.ts';
import { parseInput } from '../../platform/schema.ts';
import { ROLE_SCOPES } from '../access/caller.ts';
import { isoTime } from '../hub/peer-json.ts';
import type { Desk } from './desk.ts';

const loginBody = z.strictObject({
  name: z.string().min(1).max(64),
  password: z.string().min(1).max(1024),
  /** Authenticator apps show a code with a gap in its middle. */
  code: z
    .string()
    .max(16)
    .transform((text) => text.replaceAll(' ', '')),
});

/** Logging in and out, and a word on who one is. */
export function loginRoutes({ access }: Desk): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/api/login',
      bodyLimit: 8 * 1024,
      handler: async ({ body, source }) => {
        const { token, expiresAt, role } = await access.logIn(parseInput(loginBody, body), source);
        const scopes = ROLE_SCOPES[role];
        return { status: 200, body: { token, expiresAt: isoTime(expiresAt), role, scopes } };
      },
    },
    {
      method: 'POST',
      path: '/api/logout',
      bodyLimit: 0,
      handler: async (request) => {
        await access.logOut(request);
        return { status: 204 };
      },
    },
    {
      method: 'GET',
      path: '/api/session',
      bodyLimit: 0,
      handler: async (request) => {
        const { actor, scopes, session } = await access.callerOf(request);
        const expiresAt = isoTime(session?.expiresAt ?? null);
        return {
          status: 200,
          body: { actor: actor.name, role: session?.role ?? null, scopes: [...scopes], expiresAt },
        };
      },
    },
  ];
}
