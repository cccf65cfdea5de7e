import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { selfSigned } from '../../platform/certificates/self-signed.ts';
import { systemRandom } from '../../platform/clock.ts';
import { privateKeyPem } from '../../platform/listening/identity.ts';

/** What answers on loopback in place of a key server, as each test tells it to. */
export class KeyserverStandIn {
  readonly origin: string;
  /** PEM of its own certificate. */
  readonly ca: string;
  answer: RequestListener = (_, answer) => answer.end();
  readonly #stop: () => void;

  private constructor(origin: string, ca: string, stop: () => void) {
    this.origin = origin;
    this.ca = ca;
    this.#stop = stop;
  }

  static async start(): Promise<KeyserverStandIn> {
    const order = { hosts: ['127.0.0.1'], days: 1, now: Date.now(), privateKey: null };
    const { certificate, privateKey } = await selfSigned(order, systemRandom);
    const server = createServer({ cert: certificate, key: privateKeyPem(privateKey) });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const standIn = new KeyserverStandIn(origin, certificate, () => {
      server.closeAllConnections();
      server.close();
    });
    server.on('request', (request, answer) => standIn.answer(request, answer));
    return standIn;
  }

  /** From now on whoever asks for the health gets this. */
  says(status: number, body: string, headers: Readonly<Record<string, string>> = {}): void {
    this.answer = (request, answer) => answer.writeHead(request.url === '/health' ? status : 404, headers).end(body);
  }

  stop(): void {
    this.#stop();
  }
}
