import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, createPublicKey } from 'node:crypto';
import { run } from '../../platform/run.ts';
import { generateKeyPair } from '../../wireguard/keys.ts';
import type { Cleanup } from './cleanup.ts';
import type { Machine } from './hub-network.ts';

export interface HubRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** `null`: the connection is closed without an answer; `'silence'`: it is kept open and nothing comes. */
export type StandInAnswer =
  | { readonly status: number; readonly body: string; readonly type?: string; readonly location?: string }
  | null
  | 'silence';
export type Answering = (
  request: HubRequest,
  usual: (request: HubRequest) => Promise<StandInAnswer>,
) => StandInAnswer | Promise<StandInAnswer>;

const PORT = 8090;
const TLS_PORT = 8490;
/** Answers as whoever started it says: a test cannot be in two networks at once. */
const DOOR = `
  let asked = 0; const open = new Map();
  process.on('message', ({ id, answer }) => {
    const response = open.get(id); open.delete(id);
    if (answer === null) response.socket.destroy();
    else if (answer !== 'silence') {
      if (answer.location !== undefined) response.setHeader('Location', answer.location);
      response.writeHead(answer.status, { 'Content-Type': answer.type }).end(answer.body);
    }
  });
  process.on('disconnect', () => process.exit());
  const serve = (request, response) => {
    let body = ''; request.on('data', (part) => { body += part; });
    request.on('end', () => {
      const id = ++asked; open.set(id, response);
      process.send({ id, request: { method: request.method, path: request.url, headers: request.headers, body } });
    });
  };
  const pem = { key: process.env.DOOR_KEY, cert: process.env.DOOR_CERTIFICATE };
  require('node:https').createServer(pem, serve).listen(${TLS_PORT});
  require('node:http').createServer(serve).listen(${PORT}, () => process.send({ ready: true }));`;

/**
 * A stand-in for a hub's calls for installers, in front of a real interface (wg0, 10.77.0.1/24): for answers that a real hub would
 * never give. Registrations are by any token.
 */
export class StandInHub {
  readonly url: string;
  /** The same with a certificate of its own, and what curl takes to know it by. */
  readonly tls: { readonly url: string; readonly pin: string };
  readonly requests: HubRequest[] = [];
  readonly publicKey: string;
  /** What is different from the usual answers. */
  answering: Answering = (request, usual) => usual(request);
  /** Text of the configuration that the next spoke is told, from the usual one. */
  rewrite: (text: string) => string = (text) => text;
  readonly #machine: Machine;
  #next = 11;

  private constructor(machine: Machine, publicKey: string, pin: string) {
    this.#machine = machine;
    this.publicKey = publicKey;
    this.url = `http://${machine.address}:${PORT}`;
    this.tls = { url: `https://${machine.address}:${TLS_PORT}`, pin };
  }

  static async start(machine: Machine, cleanup: Cleanup): Promise<StandInHub> {
    const { privateKey, publicKey } = generateKeyPair();
    const file = `[Interface]\nPrivateKey = ${privateKey}\nAddress = 10.77.0.1/24\nListenPort = 51820\n`;
    await machine.run(
      'sh',
      '-c',
      `umask 077; d=$(mktemp -d) && echo '${file}' >$d/wg0.conf && wg-quick up $d/wg0.conf; rm -r $d`,
    );
    const { key, certificate, pin } = await selfSigned();
    const hub = new StandInHub(machine, publicKey, pin);
    const [command, ...rest] = machine.inside([process.execPath, '-e', DOOR]);
    const env = { ...process.env, DOOR_KEY: key, DOOR_CERTIFICATE: certificate };
    const door = spawn(command, rest, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env });
    cleanup.add('stand-in hub', () => void door.kill());
    await new Promise<void>((resolve, reject) => {
      door.on('exit', () => reject(new Error('the stand-in of the hub has ended')));
      door.on('message', (message: { id?: number; request?: HubRequest }) => {
        if (message.request === undefined) resolve();
        else void hub.#answer(door, message.id ?? 0, message.request);
      });
    });
    return hub;
  }

  /** Forgets what it was asked, and answers as usual again. */
  reset(): void {
    this.requests.length = 0;
    this.answering = (request, usual) => usual(request);
    this.rewrite = (text) => text;
  }

  /** Public keys that the interface knows. */
  async peers(): Promise<string[]> {
    const text = await this.#machine.run('wg', 'show', 'wg0', 'peers');
    return text.split('\n').filter((line) => line !== '');
  }

  /** Takes every peer off the interface. */
  async forget(): Promise<void> {
    for (const key of await this.peers()) await this.#machine.run('wg', 'set', 'wg0', 'peer', key, 'remove');
  }

  async #answer(door: ChildProcess, id: number, request: HubRequest): Promise<void> {
    this.requests.push(request);
    const answer = await this.answering(request, (one) => this.#usual(one));
    const whole = answer === null || answer === 'silence' ? answer : { type: 'text/plain', ...answer };
    door.send({ id, answer: whole });
  }

  async #usual({ path, body }: HubRequest): Promise<StandInAnswer> {
    const { publicKey } = JSON.parse(body) as { publicKey: string };
    if (path === '/api/spoke/register') {
      const address = `10.77.0.${this.#next++}`;
      await this.#machine.run('wg', 'set', 'wg0', 'peer', publicKey, 'allowed-ips', `${address}/32`);
      return { status: 201, body: this.rewrite(this.#configuration(address)) };
    }
    if (path === '/api/spoke/withdraw') {
      if (!(await this.peers()).includes(publicKey)) return { status: 404, body: '{"error":"no such spoke"}' };
      await this.#machine.run('wg', 'set', 'wg0', 'peer', publicKey, 'remove');
      return { status: 200, body: '{"success":true}' };
    }
    return { status: 404, body: '{}' };
  }

  #configuration(address: string): string {
    const head = [
      '# spoke: spoke-1',
      '# name: test',
      '# hub: hub',
      '# hub-address: 10.77.0.1',
      '# handshake-within: 10',
    ];
    const peer = [
      `PublicKey = ${this.publicKey}`,
      'AllowedIPs = 10.77.0.0/24',
      `Endpoint = ${this.#machine.address}:51820`,
    ];
    return [
      ...head,
      '[Interface]',
      `Address = ${address}/24`,
      '',
      '[Peer]',
      ...peer,
      'PersistentKeepalive = 25',
      '',
    ].join('\n');
  }
}

/** A certificate that nobody else has signed, and what curl takes for `--pinnedpubkey`. */
export async function selfSigned(): Promise<{ key: string; certificate: string; pin: string }> {
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const subject = ['-subj', '/CN=hub', '-days', '2', '-keyout', '-', '-out', '-'];
  const { stdout } = await run(['openssl', 'req', '-x509', ...curve, ...subject], { timeoutMs: 20_000 });
  const [key = '', certificate = ''] = stdout.toString('utf8').split(/(?=-----BEGIN CERTIFICATE)/);
  const spki = createPublicKey(certificate).export({ format: 'der', type: 'spki' });
  return { key, certificate, pin: `sha256//${createHash('sha256').update(spki).digest('base64')}` };
}
