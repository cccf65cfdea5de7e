import { LatchkeyError } from '../../platform/errors.ts';
import type { AppRequest, AppResponse } from '../../platform/http-app.ts';
import type { Actor } from '../hub/actor.ts';
import type { Role } from '../store/schema.ts';

/** What somebody may do, each by itself. */
export const SCOPES = [
  'peers:read',
  'peers:write',
  'hub:read',
  'hub:write',
  /** The calls of a backend for devices, and nothing else. */
  'devices',
  'metrics:read',
  'audit:read',
  'access:write',
] as const;
export type Scope = (typeof SCOPES)[number];

/** What comes with a role. */
export const ROLE_SCOPES: Readonly<Record<Role, readonly Scope[]>> = {
  viewer: ['peers:read', 'hub:read', 'metrics:read'],
  operator: ['peers:read', 'peers:write', 'hub:read', 'metrics:read', 'devices'],
  admin: SCOPES,
};

/** Somebody whose credentials held. */
export interface Caller {
  readonly actor: Actor;
  readonly scopes: ReadonlySet<Scope>;
  /** Of a person who is logged in. */
  readonly session?: { readonly role: Role; readonly expiresAt: number };
}

/** Tells who asks. Throws `unauthorized` (401), the same for whatever was wrong, and `too_many_requests` (429). */
export interface Access {
  callerOf(request: AppRequest): Promise<Caller>;
}

/** The one answer to credentials that are missing, wrong, old or of nobody. */
export function unauthorized(): LatchkeyError {
  return new LatchkeyError('unauthorized', 'the credentials were not accepted', { status: 401 });
}

/** A handler for those who have the scope; everybody else is refused before it is asked: 401, or 403 `scope_missing`. */
export function allowed(
  access: Access,
  scope: Scope,
  handler: (request: AppRequest, caller: Caller) => Promise<AppResponse>,
): (request: AppRequest) => Promise<AppResponse> {
  return async (request) => {
    const caller = await access.callerOf(request);
    if (!caller.scopes.has(scope)) {
      throw new LatchkeyError('scope_missing', `this needs the scope ${scope}`, { status: 403 });
    }
    return handler(request, caller);
  };
}
