import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  constants,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { timerPaths } from '../../patcher/heartbeat-timer.ts';
import { sha256 } from '../../platform/encoding.ts';
import { webUser } from '../harness/nextcloud-files.ts';

export const PRETEND_KEYS = ['master_1.privateKey', 'pubShare_1.privateKey'] as const;

/**
 * What ncpatch sees of a Nextcloud, without Nextcloud: real files, real PHP, and `pretend-occ.php` in place of occ. Owned
 * by the web user; found by its root folder.
 */
export class PretendNextcloud {
  readonly base: string;
  readonly root: string;
  readonly instanceId = `oc${randomBytes(5).toString('hex')}`;
  readonly keys: ReadonlyMap<string, Buffer> = new Map(PRETEND_KEYS.map((id) => [id, randomBytes(64)]));

  constructor(options: { readonly base?: string; readonly version?: string } = {}) {
    this.base = options.base ?? mkdtempSync(join(tmpdir(), 'lk-pretend-'));
    this.root = join(this.base, 'nextcloud');
    const version = options.version ?? '33.0.1';
    for (const folder of ['nextcloud/apps', 'nextcloud/lib', 'nextcloud/config', 'keyserver']) {
      mkdirSync(join(this.base, folder), { recursive: true });
    }
    mkdirSync(this.keyFolder, { recursive: true });
    copyFileSync(new URL('pretend-occ.php', import.meta.url).pathname, join(this.root, 'occ'));
    const parts = version.split('.');
    this.#write(
      'nextcloud/version.php',
      `<?php\n$OC_Version = array(${parts.join(',')},1);\n$OC_VersionString = '${version}';\n$OC_Edition = '';\n$OC_Channel = 'stable';\n$vendor = 'nextcloud';\n`,
    );
    this.#write('nextcloud/lib/base.php', '<?php\n');
    this.#write(
      'nextcloud/config/config.php',
      `<?php\n$CONFIG = array (\n  'instanceid' => '${this.instanceId}',\n);\n`,
    );
    this.#writeState({
      system: {
        version: `${version}.1`,
        dbtype: 'sqlite3',
        datadirectory: join(this.base, 'data'),
        instanceid: this.instanceId,
        maintenance: false,
      },
      apps: { core: { encryption_enabled: 'yes' }, encryption: { enabled: 'yes', masterKeyId: 'master_1' } },
    });
    for (const [id, key] of this.keys) writeFileSync(join(this.keyFolder, id), key);
    execFileSync('chown', ['-R', `${webUser.uid}:${webUser.gid}`, this.base]);
    chmodSync(this.base, 0o755);
  }

  get keyFolder(): string {
    return join(this.base, 'data/files_encryption/OC_DEFAULT_MODULE');
  }

  get stateFolder(): string {
    return `/var/lib/latchkey/${this.instanceId}`;
  }

  get journalFolder(): string {
    return `/var/lib/latchkey/ncpatch/${this.instanceId}`;
  }

  /** Makes it a client of the key server that the stand-in has. */
  enroll(): void {
    const state = this.state();
    this.#writeState({ ...state, system: { ...state.system, 'remotekeystorage.dir': this.stateFolder } });
    mkdirSync(this.stateFolder, { recursive: true, mode: 0o700 });
    writeFileSync(
      join(this.stateFolder, 'client.json'),
      JSON.stringify({ clientId: 'lk-1', urls: ['https://k'], keys: [] }),
    );
    execFileSync('chown', ['-R', `${webUser.uid}:${webUser.gid}`, this.stateFolder]);
  }

  /** What the database and config.php of a real one would hold. */
  state(): { system: Record<string, unknown>; apps: Record<string, Record<string, string>> } {
    return JSON.parse(readFileSync(join(this.base, 'state.json'), 'utf8')) as ReturnType<PretendNextcloud['state']>;
  }

  /** `{command: exit code}`, or `hangs`: what occ does instead of its work. */
  trouble(what: Readonly<Record<string, number | 'hangs'>>): void {
    this.#write('trouble.json', JSON.stringify(what));
  }

  /** Process ids of the occ that met trouble. */
  troubled(): number[] {
    const path = join(this.base, 'troubled');
    return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n').map(Number) : [];
  }

  onDisk(id: string): boolean {
    return this.#holds(join(this.keyFolder, id), id);
  }

  onKeyServer(id: string): boolean {
    return this.#holds(join(this.base, 'keyserver', id), id);
  }

  /** That a file which somebody overwrites now would be emptied: the web is open, keys are away and nothing fetches them. */
  endangersFiles(): boolean {
    const client = join(this.stateFolder, 'client.json');
    const moved = existsSync(client) ? (JSON.parse(readFileSync(client, 'utf8')) as { keys: string[] }).keys : [];
    const { system, apps } = this.state();
    const isThere = existsSync(join(this.root, 'apps/remotekeystorage/appinfo/info.xml'));
    const fetches = apps.remotekeystorage?.enabled === 'yes' && isThere;
    return moved.some((id) => !this.onDisk(id)) && !fetches && system.maintenance !== true;
  }

  /** SHA-256 of each file of the app, by path; null where there is no app. */
  appFiles(): Record<string, string> | null {
    const folder = join(this.root, 'apps/remotekeystorage');
    if (!existsSync(folder)) return null;
    const names = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name));
    return Object.fromEntries(
      names.map((path) => [path.slice(folder.length + 1), sha256(readFileSync(path)).toString('hex')]),
    );
  }

  #holds(path: string, id: string): boolean {
    return existsSync(path) && this.keys.get(id)?.equals(readFileSync(path)) === true;
  }

  /** Everything that a transaction may change, but for the journal: each path with mode, owner and content. */
  snapshot(): string[] {
    const places = [this.base, this.stateFolder, ...timerPaths(this.instanceId)].filter((path) => existsSync(path));
    return places.flatMap((path) => look(Buffer.from(path))).sort();
  }

  fingerprint(): string {
    const journal = existsSync(this.journalFolder) ? look(Buffer.from(this.journalFolder)) : [];
    return [...this.snapshot(), ...journal].join('\n');
  }

  /** Names in the journal's folder that are not put aside for good. */
  journalLeft(): string[] {
    if (!existsSync(this.journalFolder)) return [];
    return readdirSync(this.journalFolder).filter((name) => !/^\d{4}-.*\.jsonl$/.test(name) && name !== 'running');
  }

  /** Keeps a copy of all of it, for `reset()`. */
  keep(): void {
    const kept = this.#kept();
    rmSync(kept, { recursive: true, force: true });
    mkdirSync(kept);
    execFileSync('cp', ['-a', this.base, `${kept}/base`]);
    if (existsSync(this.stateFolder)) execFileSync('cp', ['-a', this.stateFolder, `${kept}/state`]);
    if (existsSync(this.journalFolder)) execFileSync('cp', ['-a', this.journalFolder, `${kept}/journal`]);
    for (const [i, path] of timerPaths(this.instanceId).entries()) {
      if (existsSync(path)) execFileSync('cp', ['-a', path, `${kept}/timer-${i}`]);
    }
  }

  /** Back to what was kept last. */
  reset(): void {
    const kept = this.#kept();
    const pairs = [
      ['base', this.base],
      ['state', this.stateFolder],
      ['journal', this.journalFolder],
      ...timerPaths(this.instanceId).map((path, i) => [`timer-${i}`, path]),
    ];
    for (const [name = '', path = ''] of pairs) {
      rmSync(path, { recursive: true, force: true });
      if (existsSync(join(kept, name))) execFileSync('cp', ['-a', join(kept, name), path]);
    }
  }

  remove(): void {
    const traces = [this.stateFolder, this.journalFolder, ...timerPaths(this.instanceId)];
    for (const path of [this.base, this.#kept(), ...traces]) rmSync(path, { recursive: true, force: true });
  }

  #kept(): string {
    return `${this.base}.kept`;
  }

  /** As PHP would write it, so that a file which went back and forth is the same to the last byte. */
  #writeState(state: object): void {
    this.#write('state.json', JSON.stringify(state).replaceAll('/', '\\/'));
  }

  #write(name: string, text: string): void {
    const path = join(this.base, name);
    writeFileSync(path, text);
    chownSync(path, webUser.uid, webUser.gid);
  }
}

const PASSING = /\/(state\.lock|troubled?|trouble\.json)$/;

/** By bytes, because a name need not be UTF-8. */
function look(path: Buffer): string[] {
  const name = path.toString('latin1');
  if (PASSING.test(name)) return [];
  const { mode, uid, gid } = lstatSync(path);
  const about = `${name} ${mode.toString(8)} ${uid}:${gid}`;
  const kind = mode & constants.S_IFMT;
  if (kind === constants.S_IFDIR) {
    const entries = readdirSync(path, { encoding: 'buffer' });
    return [about, ...entries.flatMap((entry) => look(Buffer.concat([path, Buffer.from('/'), entry])))];
  }
  const content = kind === constants.S_IFLNK ? readlinkSync(path) : sha256(readFileSync(path)).toString('hex');
  return [`${about} ${content}`];
}
