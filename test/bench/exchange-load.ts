import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { type Credentials, decodeBase32 } from '../keyserver/honest-client.ts';

/**
 * The load client, a process of its own: each client keeps one TLS connection and one exchange under way. Lean on
 * purpose, because it shares two cores with the server: raw sockets, and no more HTTP than the answers need.
 */
interface Order {
  readonly port: number;
  readonly ca: string;
  readonly keyId: string;
  readonly clients: readonly Credentials[];
  readonly warmUp: number;
  readonly exchanges: number;
  /**
   * Exchanges a second, all clients together, each begun when it is due; `null`: the next one as soon as the last is done.
   * What comes late is counted from when it was due, so that a stall of the server is charged to everybody it kept waiting.
   */
  readonly pace: number | null;
  /** Whether a client keeps its connection, or makes one for each exchange. */
  readonly keepAlive: boolean;
}

const order = JSON.parse(readFileSync(0, 'utf8')) as Order;
const total = order.warmUp + order.exchanges;
const took: number[] = [];
let begun = 0;
let done = 0;
let firstCounted = 0;
/** From when on, and how many, exchanges were begun at the asked pace: after the warm-up, in which a server has to get going. */
let origin = 0;
let paced = 0;

class LoadClient {
  readonly #secret: Buffer;
  #socket: TLSSocket;
  readonly #credentials: Credentials;
  readonly #openHead: string;
  readonly #releaseHead: string;
  #held: Buffer = Buffer.alloc(0);
  #link: string;
  #next = '';
  #time = 0;
  #started = 0;
  #step = -1;
  #code = '';

  constructor(credentials: Credentials, socket: TLSSocket) {
    this.#secret = decodeBase32(credentials.totpSecret);
    this.#link = credentials.link;
    this.#credentials = credentials;
    this.#socket = this.#listenTo(socket);
    const common = `Host: localhost\r\nContent-Type: application/json\r\nX-Client: ${credentials.clientId}\r\nX-Auth-Token: ${credentials.token}\r\n`;
    this.#openHead = `POST /v1/open HTTP/1.1\r\n${common}`;
    this.#releaseHead = `POST /v1/release HTTP/1.1\r\n${common}`;
  }

  #listenTo(socket: TLSSocket): TLSSocket {
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (error) => fail(error.message));
    socket.on('close', () => {
      if (done < total && socket === this.#socket) fail('the server closed a connection');
    });
    return socket;
  }

  begin(): void {
    if (begun >= total) return;
    const { pace } = order;
    const due = pace === null || done < order.warmUp ? performance.now() : origin + (paced++ * 1000) / pace;
    begun += 1;
    const wait = due - performance.now();
    if (!order.keepAlive) void this.#connectAnew();
    else if (wait <= 0) this.#open(due);
    else setTimeout(() => this.#open(performance.now()), wait);
  }

  /** The whole way: connection, handshake, exchange. */
  async #connectAnew(): Promise<void> {
    const started = performance.now();
    const before = this.#socket;
    this.#socket = this.#listenTo(await connected(this.#credentials));
    before.destroy();
    this.#open(started);
  }

  #open(started: number): void {
    this.#started = started;
    const body = `{"link":"${this.#link}","time":${this.#tick()},"fingerprint":null,"bootId":null,"reason":"cold","seen":null}`;
    this.#socket.write(
      `${this.#openHead}X-TOTP: ${this.#totp()}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      'latin1',
    );
  }

  end(): void {
    this.#socket.destroy();
  }

  /** The whole answer in one piece nearly always; whatever is missing is waited for. */
  #take(chunk: Buffer): void {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const head = bytes.indexOf('\r\n\r\n');
    const text = head === -1 ? '' : bytes.toString('latin1', 0, head);
    const length = /content-length: (\d+)/i.exec(text);
    if (head === -1 || length === null || bytes.length < head + 4 + Number(length[1])) {
      this.#held = bytes;
      return;
    }
    this.#held = Buffer.alloc(0);
    const body = bytes.toString('latin1', head + 4);
    if (!text.startsWith('HTTP/1.1 200')) fail(`${text.slice(0, 30)} ${body}`);
    if (this.#next === '') this.#release(JSON.parse(body) as { next: string; session: string });
    else this.#finish(body);
  }

  #release(opened: { readonly next: string; readonly session: string }): void {
    this.#next = opened.next;
    const body = `{"session":"${opened.session}","link":"${opened.next}","time":${this.#tick()},"keys":["${order.keyId}"]}`;
    this.#socket.write(`${this.#releaseHead}Content-Length: ${body.length}\r\n\r\n${body}`, 'latin1');
  }

  #finish(body: string): void {
    if (!body.startsWith(`{"keys":{"${order.keyId}":"`)) fail('an answer without the key');
    this.#link = this.#next;
    this.#next = '';
    done += 1;
    if (done === order.warmUp) {
      firstCounted = performance.now();
      origin = firstCounted;
    }
    if (done > order.warmUp) took.push(performance.now() - this.#started);
    if (done === total) report();
    else this.begin();
  }

  #tick(): number {
    this.#time = Math.max(Date.now(), this.#time + 1);
    return this.#time;
  }

  #totp(): string {
    const step = Math.floor(Date.now() / 30_000);
    if (step === this.#step) return this.#code;
    const counter = Buffer.alloc(8);
    counter.writeBigUInt64BE(BigInt(step));
    const mac = createHmac('sha1', this.#secret).update(counter).digest();
    const value = mac.readUInt32BE(mac.readUInt8(19) & 15) & 0x7fff_ffff;
    this.#step = step;
    this.#code = String(value % 1_000_000).padStart(6, '0');
    return this.#code;
  }
}

function fail(why: string): never {
  process.stderr.write(`load client: ${why}\n`);
  process.exit(1);
}

function report(): void {
  const seconds = (performance.now() - firstCounted) / 1000;
  took.sort((a, b) => a - b);
  const at = (share: number): number => took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? 0;
  const result = { perSecond: took.length / seconds, p50: at(0.5), p99: at(0.99), max: took.at(-1) ?? 0 };
  const links = clients.map((client) => client.end());
  process.stdout.write(`${JSON.stringify({ ...result, connections: links.length })}\n`);
}

/** One context a client, as its key is parsed then once and not for every connection. */
const contexts = new Map<Credentials, SecureContext>();

function connected(credentials: Credentials): Promise<TLSSocket> {
  const { certificate } = credentials;
  const shown = certificate === undefined ? {} : { key: certificate.key, cert: certificate.certificate };
  const secureContext = contexts.get(credentials) ?? createSecureContext({ ca: order.ca, ...shown });
  contexts.set(credentials, secureContext);
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port: order.port, secureContext, servername: 'localhost' }, () => {
      socket.setNoDelay(true);
      resolve(socket);
    });
    socket.once('error', (error) => fail(error.message));
  });
}

const clients: readonly LoadClient[] = await Promise.all(
  order.clients.map(async (credentials) => new LoadClient(credentials, await connected(credentials))),
);
for (const client of clients) client.begin();
