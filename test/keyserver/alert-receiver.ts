import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** One request a receiver got. */
export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  readonly body: Record<string, unknown>;
}

/** A status to answer; `hang`: no answer at all; `redirect`: to another receiver's URL. */
export type Behaviour = number | 'hang' | { readonly redirect: string } | { readonly retryAfter: number };

/** A real web server on loopback that keeps what it is sent. */
export class AlertReceiver {
  readonly received: Received[] = [];
  behaviour: Behaviour = 200;
  readonly #server: Server;
  readonly #scheme: 'http' | 'https';
  #waiting: (() => void)[] = [];

  private constructor(identity: { readonly key: string; readonly cert: string } | null) {
    const handler = (request: IncomingMessage, response: ServerResponse): void => void this.#take(request, response);
    this.#server = identity === null ? createServer(handler) : createTlsServer(identity, handler);
    this.#scheme = identity === null ? 'http' : 'https';
  }

  static async start(identity: { readonly key: string; readonly cert: string } | null = null): Promise<AlertReceiver> {
    const receiver = new AlertReceiver(identity);
    await new Promise<void>((resolve) => receiver.#server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  url(path = '/'): string {
    return `${this.#scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`;
  }

  /** Resolves with everything received once there are `count`. */
  async waitFor(count: number): Promise<readonly Received[]> {
    while (this.received.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.received;
  }

  /** Resolves with the first whose text has `words`, those that come later too. */
  async waitForText(words: string): Promise<Received> {
    for (;;) {
      const found = this.received.find((one) => one.text.includes(words));
      if (found !== undefined) return found;
      await this.waitFor(this.received.length + 1);
    }
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const { method = '', url = '', headers } = request;
    this.received.push({ method, path: url, headers, text, body: JSON.parse(text) as Record<string, unknown> });
    for (const wake of this.#waiting.splice(0)) wake();
    const { behaviour } = this;
    if (behaviour === 'hang') return;
    if (typeof behaviour === 'number') response.writeHead(behaviour).end('canary-of-the-receiver');
    else if ('redirect' in behaviour) response.writeHead(307, { Location: behaviour.redirect }).end();
    else response.writeHead(429, { 'Retry-After': String(behaviour.retryAfter) }).end();
  }
}
