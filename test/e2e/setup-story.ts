import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cleanup } from '../harness/cleanup.ts';
import type { NextcloudTree } from '../harness/nextcloud-tree.ts';
import type { CloudKind } from '../harness/whole-cloud.ts';
import { whileThere, wholeMachineObstacle } from '../harness/whole-machine.ts';
import { lamp } from '../harness/whole-nextcloud.ts';
import { buildPair, type WholePair } from '../harness/whole-pair.ts';
import { privateKeyFiles, privateKeyMarks } from './key-files.ts';

/** Why the story cannot be played here, or `null`. */
export function storyObstacle(tree: NextcloudTree | undefined, kind: CloudKind = lamp): string | null {
  return wholeMachineObstacle() ?? kind.obstacle() ?? (tree === undefined ? 'no release of Nextcloud is here' : null);
}

/** How a command ended. */
export interface Said {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How long it took until Nextcloud had its key again without anybody's doing. */
export interface Return {
  readonly what: string;
  readonly ms: number;
}

const CONFIG = '/root/setup.json';
const PASSPHRASE = '/root/copy-passphrase';
/** What setup and teardown may leave at home: their own record, and the owner's copy of the keys. */
export const KEPT_AT_HOME = /^\/root(?:\/|$)/;
/** What is told of what was done stays where it was done. */
const JOURNALS = /^\/var\/lib\/latchkey(?:$|\/ncpatch(?:\/|$))/;
/** What machines write by themselves. */
const RESTLESS =
  /^\/(?:var\/(?:log|cache|lib\/(?:systemd|nginx|php|logrotate|private|sudo)|tmp)|tmp|run)(?:\/|$)|^\/etc\/(?:(?:passwd|group|shadow|gshadow|subuid|subgid)-|\.pwd\.lock|\.updated|systemd\/system\/[^/]+\.wants)$/;

/** A person with a server, a machine at home and two commands; what becomes of their files. */
export class SetupStory {
  readonly pair: WholePair;
  readonly returns: Return[] = [];
  readonly #files = new Map<string, string>();
  readonly #before: { readonly home: ReadonlyMap<string, string>; readonly server: ReadonlyMap<string, string> };
  readonly #marks: readonly string[];

  private constructor(pair: WholePair, files: Map<string, string>) {
    this.pair = pair;
    this.#files = files;
    this.#marks = privateKeyMarks(pair.server.path(pair.cloud.data));
    this.#before = { home: pair.home.changes(), server: pair.server.changes() };
  }

  /** Two machines, an encrypted Nextcloud with files in it, nothing of Latchkey on its server. */
  static async begin(tree: NextcloudTree, cleanup: Cleanup, kind: CloudKind = lamp): Promise<SetupStory> {
    const pair = await buildPair(tree, cleanup, kind);
    const files = new Map([
      ['note.txt', 'a note\n'],
      ['long.txt', 'a line of a long text\n'.repeat(6_000)],
      ['empty.txt', ''],
    ]);
    for (const [path, text] of files) {
      const { status } = await pair.cloud.dav().put(path, text);
      if (status !== 201) throw new Error(`${path} was answered ${status}`);
    }
    return new SetupStory(pair, files);
  }

  /** What the person writes before they start: the configuration, and a passphrase for their copy of the keys. */
  configure(more: Readonly<Record<string, unknown>> = {}): void {
    const { home, cloud, login } = this.pair;
    const wish = { server: { ssh: login, ...cloud.wish }, escrow: { passphraseFile: PASSPHRASE }, ...more };
    home.write(CONFIG, JSON.stringify(wish));
    home.write(PASSPHRASE, `${randomBytes(12).toString('hex')}\n`, 0o600);
  }

  /** What the doctor of ncpatch asks an administrator for: background jobs, and no sessions from before the keys moved. */
  async tidy(): Promise<void> {
    await this.pair.cloud.cron();
    await this.pair.cloud.dropSessions();
  }

  setup(): Promise<Said> {
    return this.#ncpatch(['setup', '--yes', '--config', CONFIG]);
  }

  /** The same, killed a moment after it says that it has come to a step; what it said until then. */
  async setupKilledAt(step: number, afterMs: number): Promise<string> {
    const { home } = this.pair;
    let said = '';
    let ended = false;
    const running = this.#ncpatch(['setup', '--yes', '--config', CONFIG], (chunk) => {
      said += chunk.toString('utf8');
    }).finally(() => {
      ended = true;
    });
    while (!ended && !said.includes(`[#] ${step}/`)) await sleep(20);
    await sleep(afterMs);
    await home.tries('kill -9 $(cat /root/.local/state/latchkey/setup/*/running)');
    await running;
    return said;
  }

  teardown(...words: readonly string[]): Promise<Said> {
    return this.#ncpatch(['teardown', '--yes', '--config', CONFIG, ...words]);
  }

  async #ncpatch(words: readonly string[], onStderr?: (chunk: Buffer) => void): Promise<Said> {
    const options = { timeoutMs: 600_000, ...(onStderr === undefined ? {} : { onStderr }) };
    const { exit, stdout, stderr } = await this.pair.home.run(['ncpatch', ...words], options);
    return { exit, stdout: stdout.toString('utf8'), stderr };
  }

  /** Whether every file comes back through the web as it was written; what did not. */
  async wrongFiles(): Promise<string[]> {
    const wrong: string[] = [];
    for (const [path, text] of this.#files) {
      const answer = await this.pair.cloud.dav().get(path);
      if (answer.status !== 200 || answer.text !== text) wrong.push(`${path} (${answer.status})`);
    }
    return wrong;
  }

  async write(path: string, text: string): Promise<number> {
    this.#files.set(path, text);
    return (await this.pair.cloud.dav().put(path, text)).status;
  }

  /** Files of the server's whole disk that hold a private key as Nextcloud keeps it. */
  keysOnServer(): string[] {
    const { server, cloud } = this.pair;
    const marks = this.#marks.map((mark) => Buffer.from(mark, 'latin1'));
    const holders = server.writtenFiles().filter((path) => {
      const bytes = whileThere(() => readFileSync(path));
      return bytes !== null && marks.some((mark) => bytes.includes(mark));
    });
    return [...privateKeyFiles(server.path(cloud.data)), ...holders];
  }

  /** All that is kept in memory of keys goes, as when PHP is restarted: what is read from now on needs the key server. */
  forgetKeys(): Promise<void> {
    return this.pair.cloud.forget();
  }

  /**
   * Waits until a file opens that no cache holds the key of. `since` is when things were put right again; nobody does anything
   * meanwhile but ask.
   */
  async returned(what: string, since: number): Promise<void> {
    const [path, text] = [...this.#files][0] ?? ['', ''];
    const deadline = since + 300_000;
    for (let status = 0; ; await sleep(250)) {
      const answer = await this.pair.cloud
        .dav()
        .get(path)
        .catch(() => null);
      status = answer?.status ?? 0;
      if (status === 200 && answer?.text === text) break;
      if (performance.now() > deadline)
        throw new Error(`${what}: not back after five minutes, the last answer was ${status}`);
    }
    this.returns.push({ what, ms: performance.now() - since });
  }

  async serverLosesPower(): Promise<void> {
    await this.pair.server.cutPower();
    const since = performance.now();
    await this.pair.server.boot();
    await this.returned('the server lost its power', since);
  }

  async homeLosesPower(): Promise<void> {
    await this.pair.home.cutPower();
    await this.forgetKeys();
    const since = performance.now();
    await this.pair.home.boot();
    await this.returned('the machine at home lost its power', since);
  }

  /** After the city's grid has failed: the server is up long before the home. */
  async bothLosePower(): Promise<void> {
    const { home, server } = this.pair;
    await Promise.all([home.cutPower(), server.cutPower()]);
    await server.boot();
    await sleep(3_000);
    const since = performance.now();
    await home.boot();
    await this.returned('both lost their power, the server was back first', since);
  }

  async homeMoves(): Promise<void> {
    await this.forgetKeys();
    const since = performance.now();
    await this.pair.network.changeHomeAddress();
    await this.returned('the provider gave the home another address', since);
  }

  /** What was opened before goes on being served while the line is down. */
  async lineIsDown(seconds: number): Promise<void> {
    const { network } = this.pair;
    await network.setLine(false);
    await sleep(seconds * 1_000);
    const meanwhile = await this.wrongFiles();
    if (meanwhile.length > 0) throw new Error(`not served while the line was down: ${meanwhile.join(', ')}`);
    await this.forgetKeys();
    const since = performance.now();
    await network.setLine(true);
    await this.returned(`the home's line was down for ${seconds} s`, since);
  }

  /** What either machine has more, less or otherwise than before anything was set up. */
  leftovers(): string[] {
    const { home, server, cloud } = this.pair;
    return [
      ...differences('home', this.#before.home, home.changes()).filter(
        (line) => !KEPT_AT_HOME.test(line.split(' ')[1] ?? ''),
      ),
      ...differences('server', this.#before.server, server.changes()).filter((line) => {
        const path = line.split(' ')[1] ?? '';
        return (
          !JOURNALS.test(path) && !cloud.restless.some((folder) => path === folder || path.startsWith(`${folder}/`))
        );
      }),
    ];
  }

  /** What the person looks at. */
  table(): string {
    return this.returns.map(({ what, ms }) => `${(ms / 1000).toFixed(1).padStart(8)} s  ${what}`).join('\n');
  }
}

function differences(name: string, before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((path) => !RESTLESS.test(path) && before.get(path) !== after.get(path))
    .map((path) => `${name}: ${path} (${before.get(path) ?? 'was not there'}, ${after.get(path) ?? 'is not there'})`);
}
