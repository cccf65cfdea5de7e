import { createHmac } from 'node:crypto';
import type { Clock } from '../../platform/clock.ts';
import { sha256 } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { totpCode, totpSecretBytes, totpStep } from '../../platform/totp.ts';
import { type Answer, Line } from './call.ts';
import { type LinkState, readLinkState, writeLinkState } from './link-state.ts';

/** What enrolment gave a client and does not change. */
export interface Credentials {
  readonly clientId: string;
  readonly token: string;
  readonly totpSecret: string;
}

/** A request as it went over the wire; what somebody who recorded it could send again. */
export interface Sent {
  readonly method: Method;
  readonly path: string;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;
}

type Method = 'GET' | 'POST' | 'PUT';

export interface Host {
  readonly url: string;
  readonly ca: string;
  /** File that holds the link state. */
  readonly linkFile: string;
  readonly fingerprint: string;
  readonly bootId: string;
  readonly clock: Clock;
}

/** Both halves of one exchange; `release` is `null` when the server refused to open. */
export interface Exchange {
  readonly open: Answer;
  readonly release: Answer | null;
}

/**
 * An honest client of the chained profile: one exchange at a time, each link on disk before it is used, growing times.
 * It shows answers as they are, refusals too; whoever only wants the key asks `release` for its keys.
 */
export class ChainedClient {
  readonly credentials: Credentials;
  readonly #host: Host;
  readonly #line: Line;
  #last: Sent | null = null;

  constructor(host: Host, credentials: Credentials) {
    this.#host = host;
    this.credentials = credentials;
    this.#line = new Line(host.url, host.ca);
  }

  /** Spends an enrolment code and stores the first link. */
  static async enrol(host: Host, code: string): Promise<ChainedClient> {
    const line = new Line(host.url, host.ca);
    const answer = await line.call('POST', '/v1/enroll', { code }).finally(() => line.close());
    if (answer.status !== 201) throw refusalFrom(answer);
    const { clientId, token, totpSecret, link } = answer.body as unknown as Credentials & { link: string };
    writeLinkState(host.linkFile, { version: 1, current: link, next: null, time: 0, seen: null });
    return new ChainedClient(host, { clientId, token, totpSecret });
  }

  /** Stores a key under a grant. */
  storeKey(id: string, key: Uint8Array, grant: string): Promise<Answer> {
    return this.#call('PUT', `/v1/keys/${id}`, { key: Buffer.from(key).toString('base64'), grant });
  }

  /** Open, keep the link, release, keep it again. */
  async exchange(keys: readonly string[], reason: string): Promise<Exchange> {
    const open = await this.open(reason);
    if (open.status !== 200) return { open, release: null };
    return { open, release: await this.release(open, keys) };
  }

  /** The first half. The issued link is on disk when this returns. */
  async open(reason: string): Promise<Answer> {
    const state = this.#state();
    // a link that was issued may have been taken although its answer never came: the newest one is always right
    const link = state.next ?? state.current;
    const time = this.#nextTime(state);
    const { fingerprint, bootId, clock } = this.#host;
    const body = { link, time, fingerprint, bootId, reason, seen: state.seen };
    const totp = totpCode(totpSecretBytes(this.credentials.totpSecret), totpStep(clock.now()));
    const answer = await this.#call('POST', '/v1/open', body, { 'X-TOTP': totp });
    if (answer.status === 200) this.#keep({ current: link, next: answer.body.next as string, time });
    return answer;
  }

  /** The second half, for what `open` answered. */
  async release(open: Answer, keys: readonly string[]): Promise<Answer> {
    const state = this.#state();
    const time = this.#nextTime(state);
    const link = open.body.next as string;
    const answer = await this.#call('POST', '/v1/release', { session: open.body.session, link, time, keys });
    if (answer.status !== 200) return answer;
    const head = answer.body.head as { seq: number; hash: string };
    this.#keep({ current: link, next: null, time, seen: { seq: head.seq, head: head.hash } });
    return answer;
  }

  /** Proves the newest stored link; the server says whether caches are to be emptied. */
  heartbeat(): Promise<Answer> {
    const state = this.#state();
    const link = Buffer.from(state.next ?? state.current, 'base64url');
    const linkId = sha256('id', link).toString('hex').slice(0, 16);
    const time = this.#nextTime(state);
    const { bootId } = this.#host;
    const proof = createHmac('sha256', sha256(link)).update(`${linkId}|${time}|${bootId}`).digest('hex');
    return this.#call('POST', '/v1/heartbeat', { linkId, time, bootId, uptime: 1, proof });
  }

  close(): void {
    this.#line.close();
  }

  /** The last request sent. */
  get last(): Sent | null {
    return this.#last;
  }

  /** Sends a recorded request again, byte for byte, on a connection of its own. */
  async replay({ method, path, body, headers }: Sent): Promise<Answer> {
    const line = new Line(this.#host.url, this.#host.ca);
    return line.call(method, path, body, { ...headers }).finally(() => line.close());
  }

  #call(method: Method, path: string, body: unknown, more: Record<string, string> = {}): Promise<Answer> {
    const { clientId, token } = this.credentials;
    const headers = { 'X-Client': clientId, 'X-Auth-Token': token, ...more };
    this.#last = { method, path, body, headers };
    return this.#line.call(method, path, body, headers);
  }

  #state(): LinkState {
    return readLinkState(this.#host.linkFile);
  }

  /** A later time than any before, on disk before it is sent. */
  #nextTime(state: LinkState): number {
    const time = Math.max(this.#host.clock.now(), state.time + 1);
    writeLinkState(this.#host.linkFile, { ...state, time });
    return time;
  }

  #keep(change: Partial<LinkState>): void {
    writeLinkState(this.#host.linkFile, { ...this.#state(), ...change });
  }
}

function refusalFrom(answer: Answer): LatchkeyError {
  const code = typeof answer.body.code === 'string' ? answer.body.code : 'refused';
  return new LatchkeyError(code, `the key server answered ${answer.status}`, { status: answer.status });
}
