import type { IncomingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import { addAdmin } from '../../keyserver/admin/accounts.ts';
import { systemRandom } from '../../platform/clock.ts';
import { hashPassword } from '../../platform/password.ts';
import { keyfileMethod } from '../../platform/vault/unseal.ts';
import { unsealVault } from '../../platform/vault/vault-file.ts';
import { totpNow } from './honest-client.ts';
import type { RunningServer } from './running-server.ts';

export interface PageAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** A person with a browser, as far as HTTP shows it: keeps one cookie and sends what the forms of pages hold. */
export class AdminVisitor {
  readonly name: string;
  readonly password: string;
  readonly secret: string;
  readonly #server: RunningServer;
  /** `__Host-latchkey=…`, or '' before logging in. */
  cookie = '';
  csrf = '';

  constructor(server: RunningServer, account: { name: string; password: string; secret: string }) {
    this.#server = server;
    this.name = account.name;
    this.password = account.password;
    this.secret = account.secret;
  }

  get origin(): string {
    return `https://localhost:${this.#server.port}`;
  }

  /** The code of the server's moment. */
  code(): string {
    return totpNow(this.secret, this.#server.now());
  }

  /** A code that was not used yet: half a minute goes by on the server. */
  nextCode(): string {
    this.#server.skew += 30_000;
    return this.code();
  }

  send(
    method: string,
    path: string,
    more: { headers?: Record<string, string | undefined>; body?: string; localAddress?: string } = {},
  ): Promise<PageAnswer> {
    const headers = {
      Host: `localhost:${this.#server.port}`,
      ...(this.cookie !== '' && { Cookie: this.cookie }),
      ...(more.body !== undefined && { 'Content-Type': 'application/x-www-form-urlencoded', Origin: this.origin }),
      ...more.headers,
    };
    const given = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined));
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          host: '127.0.0.1',
          port: this.#server.port,
          ca: this.#server.made.ca,
          servername: 'localhost',
          method,
          path,
          headers: given,
          agent: false,
          ...(more.localAddress !== undefined && { localAddress: more.localAddress }),
        },
        (incoming) => {
          const chunks: Buffer[] = [];
          incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
          incoming.on('end', () => {
            const { date: _date, ...rest } = incoming.headers;
            resolve({ status: incoming.statusCode ?? 0, headers: rest, text: Buffer.concat(chunks).toString() });
          });
        },
      );
      sent.on('error', reject);
      sent.end(more.body);
    });
  }

  get(path: string): Promise<PageAnswer> {
    return this.send('GET', path);
  }

  /** Sends a form; its session's mark is added when there is one. */
  post(
    path: string,
    fields: Record<string, string>,
    headers: Record<string, string | undefined> = {},
  ): Promise<PageAnswer> {
    const marked = this.csrf === '' ? fields : { csrf: this.csrf, ...fields };
    return this.send('POST', path, { body: new URLSearchParams(marked).toString(), headers });
  }

  /** Tries to log in; nothing is kept of it. */
  tryLogin(given: Partial<Record<'name' | 'password' | 'code' | 'next', string>> = {}): Promise<PageAnswer> {
    const { name, password } = this;
    const fields = { name, password, next: '/admin/custody', ...given, code: given.code ?? this.nextCode() };
    return this.send('POST', '/admin/login', { body: new URLSearchParams(fields).toString() });
  }

  /** Logs in, and keeps cookie and mark. */
  async login(): Promise<PageAnswer> {
    const answer = await this.tryLogin();
    this.cookie = answer.headers['set-cookie']?.[0]?.split(';')[0] ?? '';
    this.csrf = csrfOf((await this.get('/admin/custody')).text);
    return answer;
  }

  /** A form that wants password and code again. */
  act(path: string, fields: Record<string, string> = {}): Promise<PageAnswer> {
    return this.post(path, { password: this.password, code: this.nextCode(), ...fields });
  }
}

/** The mark of the session in a page's forms, or ''. */
export function csrfOf(page: string): string {
  return /name="csrf" value="([A-Za-z0-9_-]{43})"/.exec(page)?.[1] ?? '';
}

/** Adds an administrator to a running server, as `keyserver admin add` does. */
export async function addVisitor(server: RunningServer, name = 'ann'): Promise<AdminVisitor> {
  const { data, keyfile } = server.made;
  const password = `CANARY password of ${name}`;
  const vault = await unsealVault(data, keyfileMethod(keyfile), systemRandom);
  const passwordHash = await hashPassword(password, systemRandom);
  const secret = await server.beside((tx) => addAdmin(tx, vault, { name, passwordHash }, server.now(), systemRandom));
  return new AdminVisitor(server, { name, password, secret });
}
