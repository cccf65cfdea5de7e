import { rmSync } from 'node:fs';
import { Agent } from 'node:https';
import { dirname } from 'node:path';
import { Writable } from 'node:stream';
import type { Kysely } from 'kysely';
import { type KeyServer, startKeyServer } from '../../keyserver/key-server.ts';
import type { Database } from '../../keyserver/schema.ts';
import { openServerData, type ServerData } from '../../keyserver/server-data.ts';
import { loadAuthority, type SigningAuthority, serverIdentity } from '../../keyserver/server-secrets.ts';
import { openServerStore } from '../../keyserver/server-store.ts';
import { readAudit } from '../../platform/audit-chain.ts';
import { systemRandom } from '../../platform/clock.ts';
import { privateKeyPem } from '../../platform/listening/identity.ts';
import { createLog } from '../../platform/log.ts';
import type { Store } from '../../platform/store.ts';
import { keyfileMethod } from '../../platform/vault/unseal.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { unsealVault } from '../../platform/vault/vault-file.ts';
import { HonestClient } from './honest-client.ts';
import { type MadeServer, makeServer, type WantedServer } from './made-server.ts';

/** A real key server in this process, TLS and all, with a clock that tests move. */
export class RunningServer {
  readonly made: MadeServer;
  readonly agent: Agent;
  readonly log: string[] = [];
  /** Added to the wall clock, ms. */
  skew = 0;
  #server: KeyServer | null = null;
  #data: ServerData | null = null;
  #side: Store<Database> | null = null;

  private constructor(made: MadeServer) {
    this.made = made;
    this.agent = new Agent({ ca: made.ca, keepAlive: true, servername: 'localhost' });
  }

  static async start(wanted: WantedServer): Promise<RunningServer> {
    const running = new RunningServer(await makeServer(wanted));
    await running.resume();
    return running;
  }

  get port(): number {
    return this.made.port;
  }

  now(): number {
    return Date.now() + this.skew;
  }

  client(index = 0): HonestClient {
    const credentials = this.made.clients[index];
    if (credentials === undefined) throw new RangeError('no such client');
    return new HonestClient(credentials, () => this.now());
  }

  async resume(): Promise<void> {
    const destination = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.log.push(chunk.toString());
        done();
      },
    });
    const data = await openServerData(this.made.data);
    this.#data = data;
    const vault = await unsealVault(this.made.data, keyfileMethod(this.made.keyfile), systemRandom);
    this.#server = await startKeyServer(data, vault, {
      clock: { now: () => this.now() },
      random: systemRandom,
      log: createLog({ level: 'debug', destination }),
    });
  }

  /** The vault, opened beside the server. */
  vault(): Promise<Vault> {
    return unsealVault(this.made.data, keyfileMethod(this.made.keyfile), systemRandom);
  }

  /** The store as a command beside the server has it. */
  async sideStore(): Promise<Store<Database>> {
    this.#side ??= await openServerStore(this.made.data, this.made.config, {});
    return this.#side;
  }

  /** The authority that signs, with its key. */
  async authority(): Promise<SigningAuthority> {
    const vault = await this.vault();
    return this.beside((tx) => loadAuthority(tx, vault));
  }

  /** The server's own certificate and key, PEM. */
  async ownIdentity(): Promise<{ certificate: string; key: string }> {
    const vault = await this.vault();
    const store = await this.sideStore();
    const hosts = this.made.config.hosts;
    const { certificate, privateKey } = await serverIdentity(store, vault, hosts, this.now(), systemRandom);
    return { certificate, key: privateKeyPem(privateKey) };
  }

  /** Has the server take up what was changed beside it about certificates. */
  async refresh(): Promise<void> {
    await this.#server?.refresh();
  }

  async stop(): Promise<void> {
    this.agent.destroy();
    await this.#server?.stop();
    this.#server = null;
    await this.#data?.store.close();
    this.#data = null;
  }

  /** Stops, and takes the data directory away as a dead disk would. */
  async leaveData(): Promise<void> {
    await this.stop();
    await this.#side?.close();
    this.#side = null;
    rmSync(this.made.data, { recursive: true });
  }

  /** Works on the database from the side, as a command does. */
  async beside<T>(work: (tx: Kysely<Database>) => Promise<T>): Promise<T> {
    return (await this.sideStore()).transaction(work);
  }

  /** Audit records, parsed, oldest first. */
  async audit(): Promise<Record<string, unknown>[]> {
    const rows = await this.beside((tx) => readAudit(tx, 0, 100_000));
    return rows.map((row) => JSON.parse(row.body) as Record<string, unknown>);
  }

  async events(): Promise<string[]> {
    return (await this.audit()).map((record) => String(record.event));
  }

  /** Every row of every table, for telling that nothing changed. */
  async everything(): Promise<string> {
    return this.beside(async (tx) => {
      const client = await tx.selectFrom('client').selectAll().execute();
      const pulse = await tx.selectFrom('pulse').selectAll().execute();
      const link = await tx.selectFrom('link').selectAll().execute();
      const key = await tx.selectFrom('stored_key').selectAll().execute();
      const grant = await tx.selectFrom('grant').selectAll().execute();
      const enrolment = await tx.selectFrom('enrolment').selectAll().execute();
      return JSON.stringify([client, pulse, link, key, grant, enrolment]);
    });
  }

  async remove(): Promise<void> {
    await this.stop();
    await this.#side?.close();
    this.made.giveUp();
    rmSync(dirname(this.made.data), { recursive: true, force: true });
  }
}
