import type { Selectable } from 'kysely';
import { appendAudit } from '../../platform/audit-chain.ts';
import type { Clock, RandomBytes } from '../../platform/clock.ts';
import type { DenialLog } from '../../platform/denials.ts';
import { type Credentials, Door } from '../../platform/door.ts';
import type { AppRequest } from '../../platform/http-app.ts';
import type { Log } from '../../platform/log.ts';
import type { Store } from '../../platform/store.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import type { HubConfig } from '../data/hub-config.ts';
import type { AccountTable, HubDatabase } from '../store/schema.ts';
import { secretName } from '../store/seal.ts';
import { accessName } from './access-name.ts';
import { findAccount, useTotpStep } from './accounts.ts';
import { findToken, tokenHash } from './api-tokens.ts';
import { type Bearer, bearerOf } from './bearer.ts';
import { type Access, type Caller, ROLE_SCOPES, unauthorized } from './caller.ts';
import { readJwt } from './jwt.ts';
import { JwtKeys } from './jwt-keys.ts';
import { LastUse } from './last-use.ts';
import type { LimitedSource } from './limited-source.ts';
import { Refusals, tooMany } from './refusals.ts';
import { type Session, Sessions } from './sessions.ts';

export interface AccessParts {
  readonly config: HubConfig;
  readonly store: Store<HubDatabase>;
  readonly vault: Vault;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly log: Log;
  readonly denials: DenialLog;
  readonly limited: LimitedSource;
}

export interface HubAccess extends Access {
  /** Starts a session and answers its token. Throws `unauthorized` (401) and `too_many_requests` (429). */
  logIn(given: Credentials, source: string): Promise<Session & { readonly token: string }>;
  /** Ends the session of a request; throws `unauthorized` for one without. */
  logOut(request: AppRequest): Promise<void>;
  /** Resolves when nothing is left to be written. */
  stop(): Promise<void>;
}

/** Who may ask this hub for something. Each request costs one look into the store. */
export function openAccess(parts: AccessParts): HubAccess {
  const { config, store, vault, clock, log } = parts;
  const refusals = new Refusals(parts);
  const lastUse = new LastUse(store, log);
  const sessions = new Sessions(parts);
  const jwtKeys = new JwtKeys(store, vault);
  const door = doorOf(parts);

  const byToken = async (text: string, source: string): Promise<Caller | null> => {
    const hash = tokenHash(text);
    const now = clock.now();
    const token = hash === null ? null : await store.read((db) => findToken(db, hash, now));
    if (token === null) return null;
    lastUse.note(token, now);
    return { actor: { name: `token:${token.name}`, source }, scopes: new Set(token.scopes) };
  };

  const bySession = async (text: string, source: string): Promise<Caller | null> => {
    const session = await sessions.find(text, source, clock.now());
    if (session === null) return null;
    const scopes = new Set(ROLE_SCOPES[session.role]);
    return { actor: { name: `account:${session.name}`, source }, scopes, session };
  };

  const byJwt = async (text: string, source: string): Promise<Caller | null> => {
    if (config.audience === null) return null;
    const known = await readJwt(text, (kid) => jwtKeys.find(kid), config.audience, clock.now());
    if (known === null) return null;
    return { actor: { name: `jwt:${known.key}/${known.subject}`, source }, scopes: new Set(['devices']) };
  };

  const judge = async ({ kind, text }: Bearer, { source }: AppRequest): Promise<Caller | null> => {
    if (kind === 'token') return byToken(text, source);
    if (kind === 'session') return bySession(text, source);
    return kind === 'jwt' ? byJwt(text, source) : null;
  };

  const callerOf = async (request: AppRequest): Promise<Caller> => {
    const { authorization } = request.headers;
    if (authorization === undefined) throw unauthorized();
    const bearer = bearerOf(authorization);
    const caller = await judge(bearer, request);
    if (caller !== null) return caller;
    throw await refusals.refuse(request.source, authorization, bearer.kind);
  };

  return {
    callerOf,
    logIn: async (given, source) => {
      const answer = await door.check(given, source, 'log in');
      if (answer.verdict === 'wait') throw tooMany(answer.seconds);
      if (answer.verdict !== 'open') throw unauthorized();
      const { account } = answer;
      const now = clock.now();
      const detail = { by: `account:${account.name}`, role: account.role };
      const begun = await store.transaction(async (tx) => {
        await appendAudit(tx, { time: now, event: 'login', source, detail });
        return sessions.begin(tx, account, source, now);
      });
      return { ...begun, name: account.name, role: account.role };
    },
    logOut: async (request) => {
      const { actor, session } = await callerOf(request);
      if (session === undefined) throw unauthorized();
      const { text } = bearerOf(request.headers.authorization ?? '');
      const entry = { time: clock.now(), event: 'logout', source: request.source, detail: { by: actor.name } };
      await store.transaction(async (tx) => {
        await sessions.end(tx, text);
        await appendAudit(tx, entry);
      });
    },
    stop: async () => {
      await lastUse.settled();
      await sessions.settled();
    },
  };
}

function doorOf({ clock, random, denials, store, vault, limited }: AccessParts): Door<Selectable<AccountTable>> {
  return new Door({
    clock,
    random,
    denials,
    limited,
    refusal: 'login_refused',
    isSealed: () => false,
    // not every text can be asked for: PostgreSQL knows no NUL
    find: async (name) => (accessName.safeParse(name).success ? store.read((db) => findAccount(db, name)) : null),
    secretOf: ({ name, totp_sealed: sealed }) => vault.open(secretName('account-totp', name), sealed),
    useStep: ({ name }, step, now) => store.transaction((tx) => useTotpStep(tx, name, step, now)),
    record: async (entry) => void (await store.transaction((tx) => appendAudit(tx, entry))),
  });
}
