import { type IncomingHttpHeaders, request } from 'node:http';

/** Where a web server listens; a Unix socket reaches one inside a network namespace too. */
export type HttpAddress = { readonly socketPath: string } | { readonly host: string; readonly port: number };

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
}

export interface HttpAsk {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly timeoutMs?: number;
}

/** One HTTP client of a web server, with cookies of its own when told to keep them. Does not follow redirects by itself. */
export class HttpClient {
  readonly #address: HttpAddress;
  readonly #cookies: Map<string, string> | null;

  constructor(address: HttpAddress, options: { readonly keepCookies: boolean }) {
    this.#address = address;
    this.#cookies = options.keepCookies ? new Map() : null;
  }

  cookies(): ReadonlyMap<string, string> {
    return this.#cookies ?? new Map();
  }

  send(path: string, ask: HttpAsk = {}): Promise<HttpAnswer> {
    const headers: Record<string, string> = { Host: 'localhost', ...ask.headers };
    if (this.#cookies !== null && this.#cookies.size > 0) {
      headers.Cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    }
    if (ask.body !== undefined) headers['Content-Length'] = String(Buffer.byteLength(ask.body));
    return new Promise((resolve, reject) => {
      const outgoing = request(
        { ...this.#address, path, method: ask.method ?? 'GET', headers, agent: false },
        (incoming) => {
          const parts: Buffer[] = [];
          incoming.on('data', (part: Buffer) => parts.push(part));
          incoming.on('error', reject);
          incoming.on('end', () => {
            this.#remember(incoming.headers['set-cookie'] ?? []);
            const body = Buffer.concat(parts);
            resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body, text: body.toString('utf8') });
          });
        },
      );
      outgoing.setTimeout(ask.timeoutMs ?? 60_000, () => outgoing.destroy(new Error(`no answer to ${path} in time`)));
      outgoing.on('error', reject);
      outgoing.end(ask.body);
    });
  }

  /** Follows up to five redirects on the same server. */
  async get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<HttpAnswer> {
    let answer = await this.send(path, { headers });
    for (let hops = 0; hops < 5 && answer.status >= 300 && answer.status < 400; hops++) {
      const { pathname, search } = new URL(answer.headers.location ?? '', 'http://localhost');
      answer = await this.send(pathname + search, { headers });
    }
    return answer;
  }

  #remember(lines: readonly string[]): void {
    for (const line of lines) {
      const match = /^([^=;]+)=([^;]*)/.exec(line);
      if (match === null || this.#cookies === null) continue;
      const [, name = '', value = ''] = match;
      if (value === 'deleted' || value === '') this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
  }
}
