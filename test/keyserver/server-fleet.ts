import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { Agent } from 'node:https';
import { dirname, join, resolve } from 'node:path';
import { newConfig } from '../../keyserver/config.ts';
import { joinServerData, openServerData, type ServerData } from '../../keyserver/server-data.ts';
import { systemClock, systemRandom } from '../../platform/clock.ts';
import { keyfileMethod } from '../../platform/vault/unseal.ts';
import { vaultFile } from '../../platform/vault/vault-file.ts';
import { freePort } from '../harness/free-port.ts';
import { type MadeServer, makeServer, type WantedServer } from './made-server.ts';

const project = resolve(import.meta.dirname, '..', '..');

/** One of several key servers on one database: a process of its own, started and killed at will. */
export class FleetServer {
  readonly port: number;
  readonly data: string;
  readonly agent: Agent;
  readonly #keyfile: string;
  /** What the program said before it ended by itself, each time. */
  readonly ends: string[] = [];
  #process: ChildProcess | null = null;

  constructor(port: number, data: string, made: MadeServer) {
    this.port = port;
    this.data = data;
    this.#keyfile = made.keyfile;
    this.agent = new Agent({ ca: made.ca, keepAlive: true, servername: 'localhost' });
  }

  /** Resolves once it serves. */
  start(): Promise<void> {
    const argv = ['--disable-warning=ExperimentalWarning', join(project, 'keyserver/main.ts'), 'start'];
    const started = spawn(process.execPath, [...argv, '--data', this.data, '--keyfile', this.#keyfile], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        LATCHKEY_DEBUG: '1',
        NODE_OPTIONS: '',
        NODE_COMPILE_CACHE: join(project, '.cache/crash-test'),
      },
    });
    this.#process = started;
    let said = '';
    started.stderr?.on('data', (chunk: Buffer) => {
      said = `${said}${chunk.toString()}`.slice(-4000);
    });
    return new Promise((done, failed) => {
      started.stdout?.once('data', () => done());
      started.once('exit', (code, signal) => {
        this.ends.push(`${code ?? signal}: ${said}`);
        failed(new Error(`the server on ${this.port} ended with ${code ?? signal}: ${said}`));
      });
    });
  }

  /** As a machine that hangs: its connections stay open, and nothing is answered. */
  freeze(): void {
    this.#process?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#process?.kill('SIGCONT');
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    const ending = this.#process;
    this.#process = null;
    if (ending === null || ending.exitCode !== null || ending.signalCode !== null) return;
    ending.removeAllListeners('exit');
    const gone = new Promise((done) => ending.once('exit', done));
    ending.kill('SIGKILL');
    await gone;
  }
}

/** Key servers on one database, the first of which has the clients. */
export class ServerFleet {
  readonly made: MadeServer;
  readonly servers: FleetServer[];

  private constructor(made: MadeServer) {
    this.made = made;
    this.servers = [new FleetServer(made.port, made.data, made)];
  }

  static async make(wanted: WantedServer): Promise<ServerFleet> {
    return new ServerFleet(await makeServer(wanted));
  }

  /** One more server, made as `init --join` makes it. */
  async join(): Promise<FleetServer> {
    const port = await freePort();
    const data = join(dirname(this.made.data), `data-${this.servers.length}`);
    const config = { ...newConfig({ host: '127.0.0.1', port }, [], 'tls'), database: this.made.config.database };
    const vaultText = readFileSync(vaultFile(this.made.data), 'utf8');
    const deps = { clock: systemClock, random: systemRandom };
    await joinServerData(data, config, vaultText, keyfileMethod(this.made.keyfile), deps);
    const server = new FleetServer(port, data, this.made);
    this.servers.push(server);
    return server;
  }

  /** Works on the shared database from the side. */
  async beside<T>(work: (data: ServerData) => Promise<T>): Promise<T> {
    const data = await openServerData(this.made.data);
    try {
      return await work(data);
    } finally {
      await data.store.close();
    }
  }

  async remove(): Promise<void> {
    for (const server of this.servers) {
      server.agent.destroy();
      await server.kill();
    }
    this.made.giveUp();
    rmSync(dirname(this.made.data), { recursive: true, force: true });
  }
}
