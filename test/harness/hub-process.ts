import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { systemClock, systemRandom } from '../../platform/clock.ts';
import { run } from '../../platform/run.ts';
import { keyfileMethod } from '../../platform/vault/unseal.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { unsealVault } from '../../platform/vault/vault-file.ts';
import { addToken } from '../../wireguard/access/api-tokens.ts';
import { type HubConfig, readConfig, writeConfig } from '../../wireguard/data/hub-config.ts';
import { type HubData, openHubData } from '../../wireguard/data/hub-data.ts';
import type { LiveInterface } from '../../wireguard/drivers/driver.ts';
import { parseDump } from '../../wireguard/drivers/dump.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { type RegisterForCommands, registerForCommands } from '../../wireguard/hub/register-for-commands.ts';
import type { WireGuardKey } from '../../wireguard/keys.ts';
import { type HubInterface, listInterfaces } from '../../wireguard/store/hub-interface.ts';
import { wantedPeers } from '../../wireguard/store/wanted-peers.ts';
import { type Argv, BackgroundProcess } from './background-process.ts';
import type { Cleanup } from './cleanup.ts';
import type { Machine } from './hub-network.ts';
import { projectProgram } from './keyserver-process.ts';

export interface HubAnswer {
  /** 0 when there was none. */
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of it says what it is
  readonly body: any;
  readonly text: string;
  /** Milliseconds. */
  readonly took: number;
}

/** What a device is told when it is made. */
export interface MadeDevice {
  readonly config: string;
  readonly assigned_ip: string;
  readonly assigned_ip6: string;
  readonly public_key: string;
  readonly live: boolean;
}

const PORT = 8090;
/** Asks for whoever writes a line to it: a test cannot be in two networks at once. */
const CALLER = `
  require('node:readline').createInterface({ input: process.stdin }).on('line', async (line) => {
    const { id, url, ...init } = JSON.parse(line);
    const begun = Date.now();
    const answer = await fetch(url, init).then(async (r) => ({ status: r.status, text: await r.text() }), () => ({ status: 0, text: '' }));
    console.log(JSON.stringify({ id, took: Date.now() - begun, ...answer }));
  });`;

/** A hub as its operator runs it, on a machine of its own: `wghub init`, `wghub start`, its API, and its data from the side. */
export class HubProcess {
  readonly data: string;
  machine: Machine;
  /** The interface that it keeps. */
  readonly interface: string;
  readonly #keyfile: string;
  readonly #cleanup: Cleanup;
  #process: BackgroundProcess | null = null;
  #caller: ChildProcess | null = null;
  #waiting = new Map<number, (answer: HubAnswer) => void>();
  #asked = 0;
  #token = '';
  #side: { readonly opened: HubData; readonly vault: Vault; readonly facts: HubInterface } | null = null;

  /** Of a data directory that `init` made, here or for another machine. */
  constructor(machine: Machine, data: string, keyfile: string, cleanup: Cleanup, name = 'wg0') {
    this.machine = machine;
    this.interface = name;
    this.data = data;
    this.#keyfile = keyfile;
    this.#cleanup = cleanup;
    cleanup.add('what the test has open of the hub', () => this.closeSide());
  }

  async init(options: readonly string[]): Promise<void> {
    const endpoint = ['--endpoint', `${this.machine.address}:51820`, '--listen', `127.0.0.1:${PORT}`];
    await this.command(['init', ...endpoint, '--keyfile', this.#keyfile, ...options]);
  }

  /** Changes lines of its `config.json`, which it reads when it starts. */
  configure(change: Partial<HubConfig>): void {
    writeConfig(this.data, { ...readConfig(this.data), ...change });
  }

  /** Runs `wghub …` on the data directory with `--json`; what it printed. */
  async command(argv: readonly string[]): Promise<unknown> {
    const command = [...projectProgram('wireguard/main.ts'), ...argv, '--data', this.data, '--json'];
    const { stdout } = await run(this.machine.inside(command as unknown as Argv), { timeoutMs: 60_000 });
    return JSON.parse(stdout.toString('utf8'));
  }

  /** Returns once the hub says that it serves. */
  async start(): Promise<void> {
    const command = [...projectProgram('wireguard/main.ts'), 'start', '--data', this.data, '--keyfile', this.#keyfile];
    const started = await BackgroundProcess.start(this.machine.inside(command as unknown as Argv), {
      readyWhen: /^serving /m,
      timeoutMs: 30_000,
    });
    this.#process = started;
    this.#cleanup.add('hub', () => started.kill());
  }

  /** Asks it to end and waits for that, half a minute at the most. */
  stop(): Promise<void> {
    return this.#process?.stop(30_000) ?? Promise.resolve();
  }

  /** As a power cut would; what it was asked meanwhile is answered with 0. */
  kill(): Promise<void> {
    return this.#process?.kill() ?? Promise.resolve();
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#process !== null) process.kill(this.#process.pid, signal);
  }

  /** What it has printed and logged. */
  output(): string {
    return this.#process?.output() ?? '';
  }

  async call(method: string, path: string, body?: unknown): Promise<HubAnswer> {
    if (this.#token === '') this.#token = await this.#newToken();
    const caller = this.#callerNow();
    const id = ++this.#asked;
    const headers = { Authorization: `Bearer ${this.#token}`, 'Content-Type': 'application/json' };
    const request = { id, url: `http://127.0.0.1:${PORT}${path}`, method, headers, body: JSON.stringify(body) };
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      caller.stdin?.write(`${JSON.stringify(request)}\n`);
    });
  }

  /** Makes a device over the API. Throws for any answer but 201. */
  async device(name: string, onto = this.interface): Promise<MadeDevice> {
    const order = { user_id: 'test', device_name: name, interface: onto };
    const { status, body, text } = await this.call('POST', '/api/create-peer', order);
    if (status !== 201) throw new Error(`the hub made no device: ${status} ${text}\n${this.output()}`);
    return body as MadeDevice;
  }

  /** Commits and rings at the hub's door, as commands do. */
  async register(): Promise<RegisterForCommands> {
    const { opened, vault, facts } = await this.side();
    return registerForCommands(opened, facts, { clock: systemClock, random: systemRandom }, vault);
  }

  /** The data directory, opened beside the hub. */
  async side(): Promise<{ readonly opened: HubData; readonly vault: Vault; readonly facts: HubInterface }> {
    if (this.#side !== null) return this.#side;
    const opened = await openHubData(this.data, {});
    const vault = await unsealVault(this.data, keyfileMethod(this.#keyfile), systemRandom);
    const all = await opened.store.read((db) => listInterfaces(db, vault));
    const facts = all.find(({ name }) => name === this.interface);
    if (facts === undefined) throw new Error('the hub has no interface');
    this.#side = { opened, vault, facts };
    return this.#side;
  }

  async closeSide(): Promise<void> {
    this.#caller?.kill();
    await this.#side?.opened.store.close();
    this.#side = null;
  }

  /** What `wg` says of the interface. */
  async dump(): Promise<LiveInterface> {
    return parseDump(await this.machine.run('wg', 'show', this.interface, 'dump'));
  }

  /** What of interface and store is not the same; empty when they are equal. */
  async differences(): Promise<string[]> {
    const { opened, vault, facts } = await this.side();
    const wanted = await opened.store.read((db) => wantedPeers(db, facts.name, vault));
    let live: LiveInterface;
    try {
      live = await this.dump();
    } catch {
      return ['the interface is not there'];
    }
    const found: string[] = [];
    for (const key of ['privateKey', 'listenPort', 'fwMark'] as const) {
      if (live[key] !== facts[key]) found.push(key);
    }
    for (const key of live.peers.keys()) if (!wanted.has(key)) found.push(`${key} is too much`);
    for (const [key, peer] of wanted) {
      const there = live.peers.get(key);
      const shape = (one: typeof peer | undefined): string =>
        JSON.stringify([one?.presharedKey, one?.keepalive, [...(one?.allowedIPs ?? [])].sort()]);
      if (there === undefined) found.push(`${key} is missing`);
      else if (shape(there) !== shape(peer)) found.push(`${key} is another`);
    }
    return found;
  }

  /** Public keys of peers with which the interface has had a handshake in its present life. */
  async heard(): Promise<WireGuardKey[]> {
    const live = await this.dump().catch(() => null);
    return [...(live?.peers.values() ?? [])].filter((one) => one.lastHandshake !== null).map((one) => one.publicKey);
  }

  async #newToken(): Promise<string> {
    const { opened } = await this.side();
    const order = {
      name: `test-${systemRandom(4).toString('hex')}`,
      scopes: ['devices', 'peers:write', 'hub:read', 'metrics:read'] as const,
    };
    const made = await opened.store.transaction((tx) =>
      addToken(tx, { ...order, scopes: [...order.scopes] }, COMMAND, Date.now(), systemRandom),
    );
    return made.token;
  }

  #callerNow(): ChildProcess {
    if (this.#caller !== null && this.#caller.exitCode === null && this.#caller.signalCode === null)
      return this.#caller;
    const [command, ...rest] = this.machine.inside([process.execPath, '-e', CALLER]);
    const caller = spawn(command, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: caller.stdout }).on('line', (line) => {
      const { id, status, text, took } = JSON.parse(line) as { id: number } & Omit<HubAnswer, 'body'>;
      this.#waiting.get(id)?.({ status, text, took, body: parsed(text) });
      this.#waiting.delete(id);
    });
    this.#caller = caller;
    return caller;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
