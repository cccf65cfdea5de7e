import { Agent } from 'node:https';
import { addClient } from '../../keyserver/clients/client-admin.ts';
import { systemRandom } from '../../platform/clock.ts';
import { type KeyPair, newRequest } from './certificate-request.ts';
import { type Answer, call, HonestClient } from './honest-client.ts';
import type { RunningServer } from './running-server.ts';

/** A host that enrolled with a request, and shows what it holds with every call. */
export class CertificateHolder {
  readonly server: RunningServer;
  readonly client: HonestClient;
  readonly name: string;
  /** What it trusts. */
  ca: string;
  held: KeyPair;
  #agent: Agent | null = null;

  private constructor(server: RunningServer, name: string, client: HonestClient, held: KeyPair, ca: string) {
    this.server = server;
    this.name = name;
    this.client = client;
    this.held = held;
    this.ca = ca;
  }

  static async enrol(server: RunningServer, name: string): Promise<CertificateHolder> {
    const wanted = { name, networks: ['127.0.0.0/8'], basic: true, escrow: true };
    const { code, grant } = await server.beside((tx) => addClient(tx, wanted, server.now(), systemRandom));
    const { key, csr } = await newRequest();
    const { body } = await call(server, 'POST', '/v1/enroll', {}, { code, csr });
    const { clientId, token, totpSecret, link, certificate, ca } = body as Record<string, string>;
    const credentials = { clientId, token, totpSecret, link, grant } as HonestClient['credentials'];
    const client = new HonestClient(credentials, () => server.now());
    return new CertificateHolder(server, name, client, { key, certificate: certificate ?? '' }, ca ?? '');
  }

  get id(): string {
    return this.client.credentials.clientId;
  }

  /** Connections that show what is held now. */
  get line(): { readonly port: number; readonly agent: Agent } {
    this.#agent ??= this.agentFor(this.held);
    return { port: this.server.port, agent: this.#agent };
  }

  /** Connections that show something else. */
  agentFor(held: KeyPair | null): Agent {
    const shown = held === null ? {} : { key: held.key, cert: held.certificate };
    return new Agent({ ca: this.ca, keepAlive: true, servername: 'localhost', ...shown });
  }

  open(line = this.line): Promise<Answer> {
    return call(line, 'POST', '/v1/open', this.client.openHeaders(), this.client.openBody());
  }

  heartbeat(line = this.line): Promise<Answer> {
    return call(line, 'POST', '/v1/heartbeat', this.client.headers(), this.client.heartbeatBody());
  }

  /** Asks for the next certificate and keeps nothing of the answer. */
  async ask(line = this.line): Promise<{ readonly answer: Answer; readonly pair: KeyPair }> {
    const { key, csr } = await newRequest();
    const answer = await call(line, 'POST', '/v1/certificate', this.client.openHeaders(), { csr });
    return { answer, pair: { key, certificate: String(answer.body.certificate) } };
  }

  /** Holds another pair from now on. */
  hold(pair: KeyPair): void {
    this.close();
    this.held = pair;
  }

  /** The whole renewal. */
  async renew(): Promise<void> {
    const { answer, pair } = await this.ask();
    if (answer.status !== 200) throw new Error(`renewal answered ${answer.status}`);
    this.ca = String(answer.body.ca);
    this.hold(pair);
  }

  close(): void {
    this.#agent?.destroy();
    this.#agent = null;
  }
}
