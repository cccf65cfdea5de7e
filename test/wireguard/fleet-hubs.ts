import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { verifyAudit } from '../../platform/audit-chain.ts';
import { systemClock, systemRandom } from '../../platform/clock.ts';
import { createLog } from '../../platform/log.ts';
import { keyfileMethod } from '../../platform/vault/unseal.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { unsealVault } from '../../platform/vault/vault-file.ts';
import { addToken } from '../../wireguard/access/api-tokens.ts';
import { type HubConfig, hubConfig } from '../../wireguard/data/hub-config.ts';
import { createHubData, type HubData, joinHubData, openHubData } from '../../wireguard/data/hub-data.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import type { RingAnswer } from '../../wireguard/hub/doorbell.ts';
import { type HubServer, startHub } from '../../wireguard/hub/hub-server.ts';
import { type RegisterForCommands, registerForCommands } from '../../wireguard/hub/register-for-commands.ts';
import { tellHubs } from '../../wireguard/hub/tell-hubs.ts';
import { insertInterface } from '../../wireguard/store/hub-interface.ts';
import { chosenInterface, listInterfaceFacts } from '../../wireguard/store/interface-facts.ts';
import { testInterface } from './hub-store.ts';

const deps = { clock: systemClock, random: systemRandom, env: {} };
/** Shorter than those of a real hub, so that a test is. */
const waits = { claimMs: 400, strollMs: 150 };

// biome-ignore lint/suspicious/noExplicitAny: what a test expects of it says what it is
type Body = any;

/** Hubs of one PostgreSQL database, in this process and with interfaces in memory; each has a data directory of its own. */
export class FleetHubs {
  readonly folder: string;
  readonly #urlFile: string;
  readonly #members: FleetMember[] = [];
  token = '';

  private constructor(folder: string, url: string) {
    this.folder = folder;
    this.#urlFile = join(folder, 'url');
    writeFileSync(this.#urlFile, `${url}\n`, { mode: 0o600 });
    writeFileSync(this.keyfile, systemRandom(32), { mode: 0o600 });
  }

  /** The first hub keeps wg0; interfaces wg0 and wg1 are there. */
  static async on(url: string): Promise<FleetHubs> {
    const fleet = new FleetHubs(mkdtempSync(join(tmpdir(), 'lk-fleet-')), url);
    const method = keyfileMethod(fleet.keyfile);
    const config = fleet.config('first', { interfaces: ['wg0'] });
    const { vault } = await createHubData(fleet.at('first'), config, testInterface(), method, deps);
    const first = await fleet.member('first');
    await first.data.store.transaction(async (tx) => {
      await insertInterface(tx, secondInterface(), vault, Date.now());
      const scopes = ['devices', 'peers:read', 'peers:write', 'hub:read', 'hub:write'] as const;
      const order = { name: 'all', scopes: [...scopes] };
      fleet.token = (await addToken(tx, order, COMMAND, Date.now(), systemRandom)).token;
    });
    return fleet;
  }

  at(name: string): string {
    return join(this.folder, name);
  }

  get keyfile(): string {
    return this.at('hub.key');
  }

  get urlFile(): string {
    return this.#urlFile;
  }

  config(name: string, change: Partial<HubConfig>): HubConfig {
    const listen = { host: '127.0.0.1', port: 0 };
    const database = { urlFile: this.#urlFile };
    return hubConfig({ version: 1, name, listen, driver: 'memory', database, lookSeconds: 1, ...change });
  }

  /** One more data directory. */
  async join(name: string, change: Partial<HubConfig>): Promise<FleetMember> {
    const vaultText = readFileSync(join(this.at('first'), 'vault.json'), 'utf8');
    const order = { config: this.config(name, change), vaultText, method: keyfileMethod(this.keyfile) };
    await joinHubData(this.at(name), order, deps);
    return this.member(name);
  }

  async member(name: string): Promise<FleetMember> {
    const data = await openHubData(this.at(name), {});
    const vault = await unsealVault(data.directory, keyfileMethod(this.keyfile), systemRandom);
    const member = new FleetMember(this, data, vault);
    this.#members.push(member);
    return member;
  }

  async stop(): Promise<void> {
    for (const member of this.#members) await member.stop();
    for (const { data } of this.#members) await data.store.close();
    rmSync(this.folder, { recursive: true });
  }
}

/** One of them; it runs from `start` to `stop`. */
export class FleetMember {
  readonly data: HubData;
  readonly vault: Vault;
  readonly #fleet: FleetHubs;
  #server: HubServer | null = null;
  #log = '';

  constructor(fleet: FleetHubs, data: HubData, vault: Vault) {
    this.#fleet = fleet;
    this.data = data;
    this.vault = vault;
  }

  /** `strollMs`: how often it looks after interfaces of others. */
  async start(strollMs = waits.strollMs): Promise<void> {
    const write = (chunk: Buffer, _: unknown, done: () => void): void => {
      this.#log += chunk.toString();
      done();
    };
    const log = createLog({ level: 'debug', destination: new Writable({ write }) });
    this.#server = await startHub(this.data, this.vault, { ...deps, log, waits: { ...waits, strollMs } });
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
    this.#server = null;
  }

  get log(): string {
    return this.#log;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server?.port ?? 0}`;
  }

  async call(method: string, path: string, body?: unknown): Promise<{ status: number; body: Body }> {
    const headers = { Authorization: `Bearer ${this.#fleet.token}`, 'Content-Type': 'application/json' };
    const text = body === undefined ? {} : { body: JSON.stringify(body) };
    const answer = await fetch(`${this.url}${path}`, { method, headers, ...text });
    return { status: answer.status, body: await answer.json() };
  }

  /** Public keys that its interface shows now. */
  async shown(name: string): Promise<string[]> {
    const { status, body } = await this.call('GET', `/api/hub/status?interface=${name}`);
    if (status !== 200) throw new Error(`${name}: ${status} ${body.code}`);
    return (body.peers as { publicKey: string }[]).map(({ publicKey }) => publicKey);
  }

  /** As a command beside it works. */
  async register(name: string): Promise<RegisterForCommands> {
    const facts = chosenInterface(await this.data.store.read(listInterfaceFacts), name);
    return registerForCommands(this.data, facts, deps, this.vault);
  }

  /** Tells of other facts of an interface, as a command does. */
  tell(name: string): Promise<RingAnswer> {
    return tellHubs(this.data, { interface: name, publicKeys: [] }, systemRandom);
  }

  async events(): Promise<string[]> {
    const rows = await this.data.store.read(async (db) => {
      await verifyAudit(db, this.data.auditKey);
      return db.selectFrom('audit').select('body').orderBy('seq').execute();
    });
    return rows.map(({ body }) => (JSON.parse(body) as { event: string }).event);
  }
}

export function secondInterface(change: Parameters<typeof testInterface>[0] = {}): ReturnType<typeof testInterface> {
  return testInterface({
    name: 'wg1',
    networks: ['10.0.2.0/23'],
    addresses: ['10.0.2.1/23'],
    listenPort: 51821,
    endpoint: 'second.example:51821',
    ...change,
  });
}
