import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UPLOAD_TREE } from '../../patcher/transports/target-scripts.ts';
import type { TreeFile } from '../../patcher/transports/transport.ts';
import { readWatchParts, settingsText, type WatchedCore, type WatchSettings } from '../../patcher/watch/watch-files.ts';

export interface WatchRun {
  readonly exit: number | null;
  readonly stderr: string;
}

export const APP_VERSION = '1.0.0';

/** What the pretended app is made of. */
export const APP: readonly TreeFile[] = [
  { path: 'appinfo/info.xml', data: Buffer.from(`<info><version>${APP_VERSION}</version></info>\n`), mode: 0o644 },
  { path: 'lib/Storage/Key Folder.php', data: Buffer.from('<?php // a name with a blank\n'), mode: 0o644 },
  { path: 'lib/Large.php', data: Buffer.from(`<?php /*${'x'.repeat(60_000)}*/\n`), mode: 0o644 },
];

/**
 * Stands in for occ: a few lines of shell that keep what they are told in files, one call a line in `calls`. A file `hang` lets
 * it hang, `refuse` names a command it fails at, `untried` and `unusable` are what the app says of a release.
 */
const OCC = `#!/bin/sh
state=$1; shift
echo "$*" >>"$state/calls"
[ ! -f "$state/hang" ] || sleep 60
[ ! -f "$state/slow" ] || sleep 0.3
[ "$(cat "$state/refuse" 2>/dev/null)" != "$1" ] || { echo refused; exit 1; }
case $1 in
status) echo "{\\"installed\\":true,\\"maintenance\\":false,\\"needsDbUpgrade\\":$(cat "$state/pending")}" ;;
config:app:get) cat "$state/$3" 2>/dev/null ;;
app:enable) echo yes >"$state/enabled" ;;
upgrade) cp "$state/files-version" "$state/installed_version"; echo false >"$state/pending" ;;
maintenance:mode)
	on=false; [ "$2" != --on ] || on=true
	sed -i "s/'maintenance' => [a-z]*,/'maintenance' => $on,/" "$(cat "$state/config")" ;;
remotekey:status) echo "{\\"enrolled\\":true,\\"hook\\":\\"$(cat "$state/hook")\\"}" ;;
remotekey:verify)
	[ ! -f "$state/untried" ] || { echo '{"error":{"code":"unreachable","message":"m","hint":"h"}}'; exit 1; }
	[ ! -f "$state/unusable" ] || { echo '{"release":true,"decrypt":false,"error":{"code":"key_unusable"}}'; exit 1; }
	echo '{"release":true,"decrypt":true}' ;;
esac
`;

/** A folder of the watch beside the files of a Nextcloud that never runs. */
export class WatchedPlace {
  readonly base: string;
  readonly root: string;
  readonly watch: string;
  readonly state: string;
  readonly journal: string;
  readonly apps: string;
  readonly app: string;
  readonly config: string;
  readonly #shell: readonly [string, ...string[]];
  readonly #occ: string;
  core: WatchedCore | null = null;
  /** What programs among Nextcloud's files are started by. */
  inside: readonly string[] = [];

  private constructor(shell: readonly [string, ...string[]]) {
    this.#shell = shell;
    this.base = mkdtempSync(join(tmpdir(), "lk-watch it's $HOME "));
    this.root = join(this.base, 'next cloud');
    this.watch = join(this.base, 'watch');
    this.state = join(this.base, 'state');
    this.journal = join(this.base, 'journal');
    this.apps = join(this.root, 'apps');
    this.app = join(this.apps, 'remotekeystorage');
    this.config = join(this.root, 'config/config.php');
    this.#occ = join(this.base, 'occ state');
  }

  /** A healthy one, with the app in place and its keys away; `patience` is for how long one run waits. */
  static async make(shell: readonly [string, ...string[]], patience = 0): Promise<WatchedPlace> {
    const place = new WatchedPlace(shell);
    for (const folder of [place.apps, join(place.root, 'config'), place.watch, place.state, place.journal]) {
      mkdirSync(folder, { recursive: true });
    }
    mkdirSync(place.#occ);
    chmodSync(place.state, 0o700);
    writeFileSync(join(place.state, 'client.json'), '{"version":1,"keys":["master_1.privateKey"]}\n', { mode: 0o600 });
    place.setVersion('32,0,2,2', '32.0.2');
    place.setConfig('32.0.2.2');
    const values = { enabled: 'yes', installed_version: APP_VERSION, 'files-version': APP_VERSION, pending: 'false' };
    for (const [name, value] of Object.entries({ ...values, hook: 'app', config: place.config }))
      place.occ(name, value);
    writeFileSync(join(place.base, 'occ.sh'), OCC);
    await place.writeParts({ PATIENCE: patience });
    place.putApp();
    return place;
  }

  /** What ncpatch writes for the script; constants of the script may be others. */
  async writeParts(constants: Readonly<Record<string, number>> = {}): Promise<void> {
    const parts = await readWatchParts(APP);
    const script = Object.entries(constants).reduce((text, [name, value]) => {
      const changed = text.replace(new RegExp(`^${name}=[0-9]+`, 'm'), `${name}=${value}`);
      if (!changed.includes(`${name}=${value}`)) throw new Error(`the script has no ${name}`);
      return changed;
    }, parts.script);
    const settings: WatchSettings = {
      instanceId: 'oc1',
      root: this.root,
      configFile: this.config,
      appPath: this.app,
      appVersion: APP_VERSION,
      stateFolder: this.state,
      heartbeat: { via: 'container', command: this.inside.length === 0 ? ['env'] : this.inside },
      way: {
        occCommand: [...this.inside, 'sh', join(this.base, 'occ.sh'), this.#occ],
        filesCommand: this.inside,
        owner: `${process.getuid?.()}:${process.getgid?.()}`,
      },
      alsoFollowed: [],
      core: this.core,
    };
    const text = settingsText(settings).replace(
      /^journal=.*$/m,
      () => `journal='${this.journal.replaceAll("'", "'\\''")}'`,
    );
    const files = { 'watch.sh': script, 'inside.sh': parts.inside, 'upload.sh': UPLOAD_TREE, 'settings.sh': text };
    for (const [name, content] of Object.entries(files)) writeFileSync(join(this.watch, name), content);
    writeFileSync(join(this.watch, 'app.tar'), parts.archive);
    writeFileSync(join(this.watch, 'app.sha256'), parts.hashes);
  }

  setVersion(numbers: string, words: string): void {
    writeFileSync(
      join(this.root, 'version.php'),
      `<?php\n$OC_Version = array(${numbers});\n$OC_VersionString = '${words}';\n`,
    );
  }

  setConfig(version: string, maintenance = false): void {
    const lines = [`  'version' => '${version}',`, `  'maintenance' => ${maintenance},`, "  'instanceid' => 'oc1',"];
    writeFileSync(this.config, `<?php\n$CONFIG = array (\n${lines.join('\n')}\n);\n`);
  }

  /** The upgrade that the code, the configuration and the database have behind them. */
  upgraded(): void {
    this.setVersion('33,0,1,2', '33.0.1');
    this.setConfig('33.0.1.2');
  }

  putApp(): void {
    for (const { path, data } of APP) {
      mkdirSync(join(this.app, path, '..'), { recursive: true });
      writeFileSync(join(this.app, path), data);
    }
  }

  removeApp(): void {
    rmSync(this.app, { recursive: true, force: true });
  }

  /** What occ keeps under that name; `null` takes it away. */
  occ(name: string, value: string | null): void {
    const path = join(this.#occ, name);
    if (value === null) rmSync(path, { force: true });
    else writeFileSync(path, value);
  }

  told(name: string): string {
    return readFileSync(join(this.#occ, name), 'utf8').trim();
  }

  /** The commands that occ was given since the last time this was asked. */
  calls(): string[] {
    const path = join(this.#occ, 'calls');
    if (!existsSync(path)) return [];
    const calls = readFileSync(path, 'utf8').trim().split('\n');
    rmSync(path);
    return calls;
  }

  left(name: string): string | null {
    const path = join(this.watch, name);
    return existsSync(path) ? readFileSync(path, 'utf8').trim() : null;
  }

  leave(name: string, text: string): void {
    writeFileSync(join(this.watch, name), text);
  }

  forget(name: string): void {
    rmSync(join(this.watch, name), { force: true });
  }

  notice(): Record<string, unknown> | null {
    const path = join(this.state, 'notice.json');
    if (!existsSync(path)) return null;
    const notice = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    rmSync(path);
    return notice;
  }

  /** `whole`: the app as it should be to the last byte, and nothing else; `other`, or `gone`. */
  appState(): 'whole' | 'other' | 'gone' {
    if (!existsSync(this.app)) return 'gone';
    const listed = execFileSync('find', ['.', '-type', 'f'], { cwd: this.app, encoding: 'utf8' }).trim().split('\n');
    const whole =
      listed.length === APP.length &&
      APP.every(({ path, data }) => {
        const file = join(this.app, path);
        return existsSync(file) && readFileSync(file).equals(data);
      });
    return whole ? 'whole' : 'other';
  }

  /** What is beside the app's folder. */
  beside(): string[] {
    return readdirSync(this.apps).filter((name) => name !== 'remotekeystorage');
  }

  /** Runs the script as a timer does; with `killAfter` it and all it started are killed so many ms later. */
  run(options: { readonly killAfter?: number } = {}): Promise<WatchRun> {
    const [program, ...first] = this.#shell;
    return new Promise((resolve, reject) => {
      const child = spawn(program, [...first, join(this.watch, 'watch.sh'), this.watch], {
        stdio: ['ignore', 'ignore', 'pipe'],
        detached: true,
      });
      let stderr = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        stderr += text;
      });
      const pid = child.pid;
      if (options.killAfter !== undefined && pid !== undefined) {
        setTimeout(() => killSession(pid), options.killAfter);
      }
      child.on('error', reject);
      child.on('close', (exit) => resolve({ exit, stderr }));
    });
  }

  remove(): void {
    rmSync(this.base, { recursive: true, force: true });
  }
}

/** `timeout` puts what it starts into a group of its own, so the session is what a power cut would end. */
function killSession(leader: number): void {
  for (const pid of readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const session = stat.slice(stat.lastIndexOf(') ') + 2).split(' ')[3];
      if (Number(session) === leader) process.kill(pid, 'SIGKILL');
    } catch {
      // has ended by itself
    }
  }
}
