import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { systemRandom } from '../../platform/clock.ts';
import { createLog } from '../../platform/log.ts';
import { hashPassword } from '../../platform/password.ts';
import { totpCode, totpSecretBytes, totpStep } from '../../platform/totp.ts';
import { keyfileMethod } from '../../platform/vault/unseal.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { addAccount } from '../../wireguard/access/accounts.ts';
import { addToken } from '../../wireguard/access/api-tokens.ts';
import type { Scope } from '../../wireguard/access/caller.ts';
import { type HubConfig, hubConfig } from '../../wireguard/data/hub-config.ts';
import { createHubData, type HubData, openHubData } from '../../wireguard/data/hub-data.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { type HubServer, startHub } from '../../wireguard/hub/hub-server.ts';
import { type HubInterface, insertInterface } from '../../wireguard/store/hub-interface.ts';
import type { Role } from '../../wireguard/store/schema.ts';
import { testInterface } from './hub-store.ts';
import { databaseForTest } from './test-database.ts';

/** What everybody's password is. */
export const testPassword = 'CANARY a long password';

export interface HubWish {
  readonly tokens?: readonly { readonly name: string; readonly scopes: readonly Scope[] }[];
  readonly accounts?: readonly { readonly name: string; readonly role: Role }[];
  /** What is different in `config.json`. */
  readonly config?: Partial<HubConfig>;
  /** What is different in its first interface, wg0 with 10.0.1.0/24 and fd42:4242:1::/64; `null`: it has none. */
  readonly interface?: Partial<HubInterface> | null;
  /** More interfaces, whole. */
  readonly more?: readonly HubInterface[];
}

export interface HubAsk {
  /** The name of a token or of a logged-in account of `HubWish`, or a text to be sent as it is, after `Bearer `. */
  readonly token?: string;
  /** Sent as JSON; a string or bytes go as they are. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Whom the hub takes the asker for: 127.0.0.1, or another of 127.0.0.0/8. */
  readonly from?: string;
}

export interface HubReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The JSON of the answer; `{}` when it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of it says what it is
  readonly body: any;
}

/** A hub in this process with interfaces in memory, as `wghub start` runs it; its port is its own. */
export interface RunningHub {
  readonly url: string;
  readonly port: number;
  readonly hub: HubServer;
  readonly data: HubData;
  readonly vault: Vault;
  readonly folder: string;
  readonly keyfile: string;
  /** Everything it logged, as text. */
  readonly log: () => string;
  /** The hub's time is this machine's and so many ms more. */
  readonly clock: { skew: number; now(): number };
  /** The text of a token of `HubWish`. */
  token(name: string): string;
  /** Credentials of an account that are good once; the hub's time goes on by a step, for each code is good once. */
  credentials(name: string): { name: string; password: string; code: string };
  /** The TOTP secret of an account, base32. */
  secret(name: string): string;
  /** Logs an account in and answers its session's token; from then on `request` knows it by its name. */
  login(name: string): Promise<string>;
  request(method: string, path: string, ask?: HubAsk): Promise<HubReply>;
  /** Records of the audit log, oldest first. */
  // biome-ignore lint/suspicious/noExplicitAny: records have different shapes
  audit(): Promise<any[]>;
  stop(): Promise<void>;
}

export async function startRunningHub(wish: HubWish = {}): Promise<RunningHub> {
  const folder = mkdtempSync(join(tmpdir(), 'lk-running-hub-'));
  const keyfile = join(folder, 'hub.key');
  writeFileSync(keyfile, systemRandom(32), { mode: 0o600 });
  const clock = { skew: 0, now: (): number => Date.now() + clock.skew };
  const config = hubConfig({
    version: 1,
    name: 'hub',
    listen: { host: '127.0.0.1', port: 0 },
    driver: 'memory',
    database: await databaseForTest(folder),
    ...wish.config,
  });
  const deps = { clock, random: systemRandom, env: {} };
  const first = wish.interface === null ? null : testInterface(wish.interface);
  const { directory, vault } = await createHubData(join(folder, 'hub'), config, first, keyfileMethod(keyfile), deps);
  const data = await openHubData(directory, {});
  const tokens = new Map<string, string>();
  const secrets = new Map<string, string>();
  const passwordHash = wish.accounts === undefined ? '' : await hashPassword(testPassword, systemRandom);
  await data.store.transaction(async (tx) => {
    for (const facts of wish.more ?? []) await insertInterface(tx, facts, vault, clock.now());
    for (const { name, scopes } of wish.tokens ?? []) {
      tokens.set(name, (await addToken(tx, { name, scopes: [...scopes] }, COMMAND, clock.now(), systemRandom)).token);
    }
    for (const { name, role } of wish.accounts ?? []) {
      const wanted = { name, role, passwordHash };
      secrets.set(name, await addAccount(tx, vault, wanted, COMMAND, clock.now(), systemRandom));
    }
  });
  let logged = '';
  const destination = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      logged += chunk.toString();
      done();
    },
  });
  const log = createLog({ level: 'debug', destination });
  const hub = await startHub(data, vault, { ...deps, log });
  const known = (map: ReadonlyMap<string, string>, name: string): string => {
    const text = map.get(name);
    if (text === undefined) throw new Error(`the test made no ${name}`);
    return text;
  };
  const credentials = (name: string) => {
    clock.skew += 30_000;
    const code = totpCode(totpSecretBytes(known(secrets, name)), totpStep(clock.now()));
    return { name, password: testPassword, code };
  };
  const request = (method: string, path: string, ask: HubAsk = {}): Promise<HubReply> => {
    const bearer = ask.token === undefined ? null : (tokens.get(ask.token) ?? ask.token);
    return send(hub.port, method, path, ask, bearer);
  };
  return {
    url: `http://127.0.0.1:${hub.port}`,
    port: hub.port,
    hub,
    data,
    vault,
    folder,
    keyfile,
    clock,
    log: () => logged,
    token: (name) => known(tokens, name),
    secret: (name) => known(secrets, name),
    credentials,
    login: async (name) => {
      const { body } = await request('POST', '/api/login', { body: credentials(name) });
      tokens.set(name, String(body.token));
      return String(body.token);
    },
    request,
    audit: async () => {
      const rows = await data.store.read((db) => db.selectFrom('audit').select('body').orderBy('seq').execute());
      return rows.map(({ body }) => JSON.parse(body));
    },
    stop: async () => {
      await hub.stop();
      await data.store.close();
      rmSync(folder, { recursive: true });
    },
  };
}

function send(port: number, method: string, path: string, ask: HubAsk, bearer: string | null): Promise<HubReply> {
  const { body, from } = ask;
  const isRaw = body === undefined || typeof body === 'string' || body instanceof Uint8Array;
  const bytes = isRaw ? body : JSON.stringify(body);
  const headers = {
    ...(bytes === undefined
      ? {}
      : { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(bytes)) }),
    ...(bearer === null ? {} : { Authorization: `Bearer ${bearer}` }),
    ...ask.headers,
  };
  return new Promise((resolve, reject) => {
    const local = from === undefined ? {} : { localAddress: from };
    const outgoing = httpRequest(
      { host: '127.0.0.1', port, method, path, headers, agent: false, ...local },
      (incoming) => {
        const parts: Buffer[] = [];
        incoming.on('data', (part: Buffer) => parts.push(part));
        incoming.on('error', reject);
        incoming.on('end', () => {
          const text = Buffer.concat(parts).toString('utf8');
          const isJson = /^application\/(problem\+)?json/.test(incoming.headers['content-type'] ?? '');
          const { statusCode: status = 0, headers: answered } = incoming;
          resolve({ status, headers: answered, text, body: isJson && text !== '' ? JSON.parse(text) : {} });
        });
      },
    );
    outgoing.setTimeout(30_000, () => outgoing.destroy(new Error(`no answer to ${path} in time`)));
    outgoing.on('error', reject);
    outgoing.end(bytes);
  });
}
