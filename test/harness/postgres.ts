import {
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { systemRandom } from '../../platform/clock.ts';
import { run } from '../../platform/run.ts';
import { type Argv, BackgroundProcess } from './background-process.ts';
import { freePort } from './free-port.ts';
import { findProgram } from './programs.ts';

const superuser = 'latchkey_test';

/** The folder of `initdb` and `postgres`; Debian keeps them off the PATH, by version. */
function binaries(): string | null {
  const packaged = '/usr/lib/postgresql';
  const versions = listed(packaged).sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
  const folder = versions
    .map((version) => join(packaged, version, 'bin'))
    .find((one) => listed(one).includes('initdb'));
  return folder ?? findProgram('initdb')?.replace(/\/initdb$/, '') ?? null;
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** In memory where there is room: a test kills processes, not the machine, and need not wait for a disk. */
function shelf(): string {
  try {
    const { bavail, bsize } = statfsSync('/dev/shm');
    return bavail * bsize > 2 ** 31 ? '/dev/shm' : tmpdir();
  } catch {
    return tmpdir();
  }
}

/** PostgreSQL refuses to run as root: then it is another user's. */
function otherUser(): { readonly uid: number; readonly gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  const users = readFileSync('/etc/passwd', 'utf8');
  const line = /^postgres:[^:]*:(\d+):(\d+):/m.exec(users) ?? /^nobody:[^:]*:(\d+):(\d+):/m.exec(users);
  return { uid: Number(line?.[1]), gid: Number(line?.[2]) };
}

/** Why no PostgreSQL can be started here, or `null`. */
export function postgresMissing(): string | null {
  if (binaries() === null) return 'PostgreSQL is not installed';
  if (otherUser() !== null && findProgram('setpriv') === null) return 'setpriv is not installed';
  return null;
}

export interface PostgresSettings {
  /** Lines of postgresql.conf by their name. */
  readonly settings?: Readonly<Record<string, string>>;
  /** PEM texts; the server then speaks TLS as well. */
  readonly tls?: { readonly certificate: string; readonly key: string };
}

/** A real PostgreSQL with its data in a temporary folder, on loopback and on a Unix socket in that folder. */
export class TestPostgres {
  readonly port: number;
  /** Of the socket. */
  readonly folder: string;
  readonly #password: string;
  readonly #settings: PostgresSettings;
  #server: BackgroundProcess | null = null;
  #admin: pg.Client | null = null;
  #databases = 0;
  readonly #left: string[] = [];

  private constructor(folder: string, port: number, password: string, settings: PostgresSettings) {
    this.folder = folder;
    this.port = port;
    this.#password = password;
    this.#settings = settings;
  }

  static async start(settings: PostgresSettings = {}): Promise<TestPostgres> {
    const folder = mkdtempSync(join(shelf(), 'latchkey-postgres-'));
    const owner = otherUser();
    const password = systemRandom(18).toString('base64url');
    const own = (path: string): void => {
      if (owner !== null) chownSync(path, owner.uid, owner.gid);
    };
    const secret = (name: string, text: string): void => {
      writeFileSync(join(folder, name), text, { mode: 0o600 });
      own(join(folder, name));
    };
    own(folder);
    secret('password', password);
    mkdirSync(join(folder, 'data'), { mode: 0o700 });
    own(join(folder, 'data'));
    const made = new TestPostgres(folder, await freePort(), password, settings);
    const initdb = ['initdb', '-D', join(folder, 'data'), '-U', superuser, '--locale=C', '-E', 'UTF8', '--no-sync'];
    await run(asOwner([...initdb, '--auth=scram-sha-256', `--pwfile=${join(folder, 'password')}`]), {
      timeoutMs: 60_000,
    });
    if (settings.tls !== undefined) {
      secret('server.crt', settings.tls.certificate);
      secret('server.key', settings.tls.key);
    }
    await made.resume();
    return made;
  }

  /** Starts the server again on the same data. */
  async resume(): Promise<void> {
    const settings: Record<string, string> = {
      listen_addresses: '127.0.0.1',
      port: String(this.port),
      unix_socket_directories: this.folder,
      max_connections: '100',
      shared_buffers: '32MB',
      dynamic_shared_memory_type: 'mmap',
      ...(this.#settings.tls === undefined
        ? {}
        : { ssl: 'on', ssl_cert_file: join(this.folder, 'server.crt'), ssl_key_file: join(this.folder, 'server.key') }),
      ...this.#settings.settings,
    };
    const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    this.#server = await BackgroundProcess.start(asOwner(['postgres', '-D', join(this.folder, 'data'), ...options]), {
      readyWhen: /ready to accept connections/,
      env: { LC_ALL: 'C' },
    });
  }

  /** Ends the server at once, as a power cut would; `resume` recovers. */
  async kill(): Promise<void> {
    await this.#admin?.end().catch(() => undefined);
    this.#admin = null;
    if (this.#server?.isRunning() === true) process.kill(this.#server.pid, 'SIGQUIT'); // "immediate shutdown"
    while (this.#server?.isRunning() === true) await new Promise((done) => setTimeout(done, 5));
  }

  /** An empty database; its URL. `tables`: one that was used before keeps its tables, without their rows. */
  async newDatabase(tables: 'none' | 'kept' = 'none'): Promise<string> {
    const left = this.#left.pop();
    if (left !== undefined) {
      await this.sql(tables === 'none' ? 'drop schema public cascade; create schema public' : emptied, nameIn(left));
      return left;
    }
    const name = `made_${++this.#databases}`;
    await this.sql(`create database ${name}`);
    return this.url(name);
  }

  /** Takes a database back that nobody is connected to any more: emptying one is much faster than making one. */
  giveBack(url: string): void {
    this.#left.push(url);
  }

  url(database: string): string {
    return `postgresql://${superuser}:${this.#password}@127.0.0.1:${this.port}/${database}`;
  }

  get password(): string {
    return this.#password;
  }

  /** Works on the server from the side, in its own database unless told. */
  async sql(text: string, database?: string): Promise<Record<string, unknown>[]> {
    if (database !== undefined) {
      const client = await this.connect(database);
      const { rows } = await client.query(text);
      await client.end();
      return rows as Record<string, unknown>[];
    }
    this.#admin ??= await this.connect('postgres');
    return (await this.#admin.query(text)).rows as Record<string, unknown>[];
  }

  /** Changes a setting of the running server; `null` puts it back. */
  async set(setting: string, value: string | null): Promise<void> {
    await this.sql(value === null ? `alter system reset ${setting}` : `alter system set ${setting} = '${value}'`);
    await this.sql('select pg_reload_conf()');
    // the server reads its settings when it gets round to it: a new connection has them, then
    const wanted = value === null ? 'true' : `setting = '${value}'`;
    for (;;) {
      const client = await this.connect('postgres');
      const { rows } = await client.query(
        `select ${wanted} as done, pending_restart from pg_settings where name = '${setting}'`,
      );
      await client.end();
      if ((rows[0] as { done: boolean }).done) return;
      await new Promise((done) => setTimeout(done, 10));
    }
  }

  /** A connection that the test ends. */
  async connect(database: string): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.url(database), ssl: false });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Empties every table but those that tell which tables there are. */
const emptied = `do $$ begin execute coalesce((
  select 'truncate ' || string_agg(format('%I', tablename), ', ') from pg_tables
  where schemaname = 'public' and tablename not like 'kysely%'), ''); end $$`;

function nameIn(url: string): string {
  return url.replace(/^.*\//, '');
}

function asOwner(argv: readonly string[]): Argv {
  const [program = '', ...rest] = argv;
  const command = [join(binaries() ?? '', program), ...rest] as const;
  const owner = otherUser();
  if (owner === null) return command;
  return ['setpriv', `--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups', ...command];
}
