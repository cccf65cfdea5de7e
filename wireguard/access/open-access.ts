import type { Clock, RandomBytes } from '../../platform/clock.ts';
import type { DenialLog } from '../../platform/denials.ts';
import type { AppRequest } from '../../platform/http-app.ts';
import type { Log } from '../../platform/log.ts';
import type { Store } from '../../platform/store.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import type { HubConfig } from '../data/hub-config.ts';
import type { HubDatabase } from '../store/schema.ts';
import { findToken, tokenHash } from './api-tokens.ts';
import { type Bearer, bearerOf } from './bearer.ts';
import { type Access, type Caller, unauthorized } from './caller.ts';
import { LastUse } from './last-use.ts';
import { Refusals } from './refusals.ts';

export interface AccessParts {
  readonly config: HubConfig;
  readonly store: Store<HubDatabase>;
  readonly vault: Vault;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly log: Log;
  readonly denials: DenialLog;
}

export interface HubAccess extends Access {
  /** Resolves when nothing is left to be written. */
  stop(): Promise<void>;
}

/** Who may ask this hub for something. */
export function openAccess(parts: AccessParts): HubAccess {
  const { store, clock, log } = parts;
  const refusals = new Refusals(parts);
  const lastUse = new LastUse(store, log);

  const byToken = async (text: string, source: string): Promise<Caller | null> => {
    const hash = tokenHash(text);
    const now = clock.now();
    const token = hash === null ? null : await store.read((db) => findToken(db, hash, now));
    if (token === null) return null;
    lastUse.note(token, now);
    return { actor: { name: `token:${token.name}`, source }, scopes: new Set(token.scopes) };
  };

  const judge = async (bearer: Bearer, { source }: AppRequest): Promise<Caller | null> => {
    if (bearer.kind === 'token') return byToken(bearer.text, source);
    return null;
  };

  return {
    callerOf: async (request) => {
      const { authorization } = request.headers;
      if (authorization === undefined) throw unauthorized();
      const bearer = bearerOf(authorization);
      const caller = await judge(bearer, request);
      if (caller !== null) return caller;
      throw await refusals.refuse(request.source, authorization, bearer.kind);
    },
    stop: () => lastUse.settled(),
  };
}
