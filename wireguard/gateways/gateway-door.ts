import { appendAudit } from '../../platform/audit-chain.ts';
import type { Clock, RandomBytes } from '../../platform/clock.ts';
import type { DenialLog } from '../../platform/denials.ts';
import type { AppRequest } from '../../platform/http-app.ts';
import type { Store } from '../../platform/store.ts';
import { unauthorized } from '../access/caller.ts';
import type { LimitedSource } from '../access/limited-source.ts';
import type { Actor } from '../hub/actor.ts';
import { interfaceElsewhere, type ServedInterface } from '../hub/served-interfaces.ts';
import type { HubDatabase } from '../store/schema.ts';
import { type Seal, secretName } from '../store/seal.ts';
import {
  findGateway,
  type Gateway,
  type GatewayRow,
  gatewayOf,
  noteUse,
  SECRET_BYTES,
  soleGateway,
} from './gateway-store.ts';
import { NonceBooks } from './nonce-books.ts';
import { isSignature, isTimely, NONCE, SIGNATURE, TIMESTAMP } from './signature.ts';

export interface DoorParts {
  readonly store: Store<HubDatabase>;
  readonly vault: Seal;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly denials: DenialLog;
  readonly limited: LimitedSource;
  /** Interfaces by name. A gateway is heard where its interface is kept: nonces are known to one hub. */
  readonly hubs: ReadonlyMap<string, ServedInterface>;
}

/** What of a request is judged. */
export type SignedRequest = Pick<AppRequest, 'method' | 'target' | 'headers' | 'bytes' | 'source'>;

/** A request whose signature held, which is not old and never came before. */
export interface Verified {
  readonly gateway: Gateway;
  readonly actor: Actor;
  /** The one that the request was signed with. */
  readonly secret: Uint8Array;
  readonly nonce: string;
}

/** What was wrong with a request: for the audit log, never for whoever sent it. */
type Wrong = 'headers' | 'gateway' | 'signature' | 'time' | 'nonce' | 'secret';

/**
 * Decides for every request of a gateway whether it is one. Whatever is wrong, the work is the same and so is the answer, 401. A nonce
 * is booked when the signature held and the time was good, so that nobody else can use one up; and the time of a request that is
 * taken is in the store before anything is done for it, so that a hub that was started again refuses all that it may have seen.
 */
export class GatewayDoor {
  readonly #parts: DoorParts;
  /** Stands in where there is no such gateway, so that the same work is done. */
  readonly #stranger: GatewayRow;
  /** For as long as the interface is kept: who keeps it again has not seen what another hub took meanwhile. */
  readonly #books = new WeakMap<object, NonceBooks>();

  constructor(parts: DoorParts) {
    this.#parts = parts;
    const secret = parts.vault.seal(secretName('gateway', ''), parts.random(SECRET_BYTES));
    this.#stranger = {
      name: '',
      interface: '',
      secret_sealed: secret,
      next_sealed: null,
      payloads: 'plain',
      newest: 0,
      created_at: 0,
      used_at: null,
    };
  }

  /** Throws `unauthorized` (401), the same for everything; `interface_elsewhere` (421) for a request that another hub has to be sent. */
  async verify(request: SignedRequest): Promise<Verified> {
    const { clock, store, vault } = this.#parts;
    const now = clock.now();
    const given = headersOf(request.headers);
    const found = await store.read((db) => (given.gateway === null ? soleGateway(db) : findGateway(db, given.gateway)));
    const row = found ?? this.#stranger;
    const boxes = [row.secret_sealed, row.next_sealed ?? row.secret_sealed] as const;
    const parts = {
      method: request.method,
      path: request.target,
      timestamp: given.timestamp,
      nonce: given.nonce,
      body: request.bytes,
    };
    const tried = boxes.map((box) => {
      const secret = vault.open(secretName('gateway', row.name), box);
      return { box, secret, holds: isSignature(secret, parts, given.signature) };
    });
    const timely = isTimely(given.timestamp, now);
    const held = tried.find(({ holds }) => holds);
    if (!given.isWhole) return this.#refuse(request, 'headers', found, now);
    if (found === null) return this.#refuse(request, 'gateway', found, now);
    if (held === undefined) return this.#refuse(request, 'signature', found, now);
    if (!timely) return this.#refuse(request, 'time', found, now);
    const { box, secret } = held;
    const timestamp = Number(given.timestamp);
    // nothing was signed yet with a secret that was just made, whatever was with the one before it
    const book = this.#booksOf(row.interface).of(box, box === row.secret_sealed ? Number(row.newest) : 0, now);
    if (!book.use(given.nonce, timestamp, now)) return this.#refuse(request, 'nonce', found, now);
    const actor = { name: `gateway:${row.name}`, source: request.source };
    const use = { box, timestamp };
    const isNew = box !== row.secret_sealed || timestamp > Number(row.newest);
    if (isNew && !(await store.transaction((tx) => noteUse(tx, row.name, use, actor, now)))) {
      return this.#refuse(request, 'secret', found, now);
    }
    return { gateway: gatewayOf(row), actor, secret, nonce: given.nonce };
  }

  #booksOf(name: string): NonceBooks {
    const served = this.#parts.hubs.get(name);
    if (served?.isElsewhere === true) throw interfaceElsewhere();
    const keeper = served ?? this;
    const books = this.#books.get(keeper) ?? new NonceBooks();
    this.#books.set(keeper, books);
    return books;
  }

  /**
   * The first refusal of its sort is recorded, those that follow are counted. Whoever has no secret must not learn from the time of
   * an answer which gateways there are: all that is told apart without one is the source.
   */
  async #refuse(request: SignedRequest, wrong: Wrong, found: GatewayRow | null, now: number): Promise<never> {
    const { denials, limited, store } = this.#parts;
    const { source } = request;
    const isSigned = wrong === 'time' || wrong === 'nonce' || wrong === 'secret';
    const sort = isSigned && found !== null ? { client: found.name, reason: wrong } : { reason: 'credentials' };
    const event = 'gateway_refused';
    if (denials.note({ event, source: limited(source), code: 'unauthorized', ...sort }, now)) {
      const detail = {
        wrong,
        ...(found === null ? {} : { gateway: found.name }),
        ...(wrong === 'time' ? { seconds_off: Number(request.headers['x-timestamp']) - Math.round(now / 1000) } : {}),
      };
      await store.transaction((tx) => appendAudit(tx, { time: now, event, source, ...sort, detail }));
    }
    throw unauthorized();
  }
}

interface GivenHeaders {
  /** `null` when it was left out. */
  readonly gateway: string | null;
  readonly timestamp: string;
  readonly nonce: string;
  readonly signature: string;
  /** False when something is missing or not of its form; then stand-ins are judged, and the request is refused. */
  readonly isWhole: boolean;
}

function headersOf(headers: AppRequest['headers']): GivenHeaders {
  const { 'x-timestamp': timestamp, 'x-nonce': nonce, 'x-signature': signature, 'x-gateway': gateway } = headers;
  const whole = [fits(timestamp, TIMESTAMP), fits(nonce, NONCE), fits(signature, SIGNATURE)];
  return {
    gateway: gateway ?? null,
    timestamp: fits(timestamp, TIMESTAMP) ? timestamp : '1',
    nonce: fits(nonce, NONCE) ? nonce : 'A'.repeat(16),
    signature: fits(signature, SIGNATURE) ? signature : '0'.repeat(64),
    isWhole: !whole.includes(false),
  };
}

function fits(text: string | undefined, pattern: RegExp): text is string {
  return text !== undefined && pattern.test(text);
}
