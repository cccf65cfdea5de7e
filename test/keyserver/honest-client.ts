import { createHash, createHmac } from 'node:crypto';
import { type Agent, request as httpsRequest } from 'node:https';

/** What enrolment gave a host. */
export interface Credentials {
  readonly clientId: string;
  readonly token: string;
  /** Base32. */
  readonly totpSecret: string;
  readonly link: string;
  readonly grant: string;
  /** For those that enrolled with a request for one, PEM. */
  readonly certificate?: { readonly key: string; readonly certificate: string };
}

/** What a host keeps on its disk. */
export interface LinkState {
  current: string;
  next: string | null;
  time: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly body: Record<string, unknown>;
}

/** Where a server answers; on loopback unless a host is named. */
export interface Line {
  readonly host?: string;
  readonly port: number;
  readonly agent: Agent;
}

/** One HTTPS request; rejects when no whole answer comes. */
export function call(
  server: Line,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body?: unknown,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    const outgoing = httpsRequest(
      {
        host: server.host ?? '127.0.0.1',
        port: server.port,
        agent: server.agent,
        method,
        path,
        timeout: 5000,
        headers: { ...(text === undefined ? {} : { 'Content-Type': 'application/json' }), ...headers },
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('error', reject);
        incoming.on('end', () => {
          if (!incoming.complete) return reject(new Error('answer cut off'));
          const answer = Buffer.concat(chunks).toString();
          const json = answer !== '' && /json/.test(incoming.headers['content-type'] ?? '');
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            text: answer,
            body: json ? (JSON.parse(answer) as Record<string, unknown>) : {},
          });
        });
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer in time')));
    outgoing.on('error', reject);
    outgoing.end(text);
  });
}

/** The code of this moment, worked out here once more and apart from the server's own code. */
export function totpNow(base32: string, now: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(now / 30_000)));
  const mac = createHmac('sha1', decodeBase32(base32)).update(counter).digest();
  const offset = mac.readUInt8(19) & 15;
  return String((mac.readUInt32BE(offset) & 0x7fff_ffff) % 1_000_000).padStart(6, '0');
}

export function decodeBase32(text: string): Buffer {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  let bits = '';
  for (const letter of text) bits += alphabet.indexOf(letter).toString(2).padStart(5, '0');
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
}

/** What a host tells of its machine, and of what it was told before. */
export interface Machine {
  readonly bootId?: string;
  readonly fingerprint?: string;
  readonly seen?: { readonly seq: number; readonly head: string } | null;
}

/** What a host has to tell its owner. */
export interface HostNotice {
  readonly code: string;
  readonly at: number;
  readonly from?: string;
  readonly to?: string;
}

/** A host that follows the protocol page: stores what it must before it goes on, and starts again at open after any doubt. */
export class HonestClient {
  readonly credentials: Credentials;
  readonly state: LinkState;
  readonly #now: () => number;

  constructor(credentials: Credentials, now: () => number = Date.now) {
    this.credentials = credentials;
    this.state = { current: credentials.link, next: null, time: 0 };
    this.#now = now;
  }

  /** The same host's disk, copied. */
  copy(): HonestClient {
    const twin = new HonestClient(this.credentials, this.#now);
    Object.assign(twin.state, this.state);
    return twin;
  }

  headers(): Record<string, string> {
    return { 'X-Client': this.credentials.clientId, 'X-Auth-Token': this.credentials.token };
  }

  openHeaders(): Record<string, string> {
    return { ...this.headers(), 'X-TOTP': totpNow(this.credentials.totpSecret, this.#now()) };
  }

  /** Strictly growing milliseconds. */
  tick(): number {
    this.state.time = Math.max(this.#now(), this.state.time + 1);
    return this.state.time;
  }

  openBody(): Record<string, unknown> {
    const link = this.state.next ?? this.state.current;
    return { link, time: this.tick(), fingerprint: null, bootId: null, reason: 'cold', seen: null };
  }

  /** Takes `next` from open's answer: stored before release is sent. */
  opened(next: string): void {
    if (this.state.next !== null) this.state.current = this.state.next;
    this.state.next = next;
  }

  releaseBody(session: string, keys: readonly string[]): Record<string, unknown> {
    return { session, link: this.state.next, time: this.tick(), keys };
  }

  released(): void {
    if (this.state.next !== null) this.state.current = this.state.next;
    this.state.next = null;
  }

  heartbeatBody(bootId = '6f1b7a52-0000-4000-8000-0123456789ab', notice?: HostNotice): Record<string, unknown> {
    const bytes = Buffer.from(this.state.next ?? this.state.current, 'base64url');
    const linkId = createHash('sha256').update('id').update(bytes).digest('hex').slice(0, 16);
    const key = createHash('sha256').update(bytes).digest();
    const time = this.tick();
    const told = notice === undefined ? '' : `|${notice.code}|${notice.at}|${notice.from ?? ''}|${notice.to ?? ''}`;
    const proof = createHmac('sha256', key).update(`${linkId}|${time}|${bootId}${told}`).digest('hex');
    return { linkId, time, bootId, uptime: 12, proof, ...(notice !== undefined && { notice }) };
  }

  /** A whole exchange; the release's answer, or the open's when that was refused. */
  async exchange(server: Line, keys: readonly string[], machine: Machine = {}): Promise<Answer> {
    const open = await call(server, 'POST', '/v1/open', this.openHeaders(), { ...this.openBody(), ...machine });
    if (open.status !== 200) return open;
    this.opened(String(open.body.next));
    const body = this.releaseBody(String(open.body.session), keys);
    const release = await call(server, 'POST', '/v1/release', this.headers(), body);
    if (release.status === 200) this.released();
    return release;
  }
}
