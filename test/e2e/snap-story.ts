import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSecretFile } from '../../platform/files.ts';
import type { Cleanup } from '../harness/cleanup.ts';
import { freePort } from '../harness/free-port.ts';
import { type Invitation, KeyServer, projectProgram } from '../harness/keyserver-process.ts';
import { WebDav } from '../harness/nextcloud-client.ts';
import { type NextcloudTree, nextTree } from '../harness/nextcloud-tree.ts';
import { quickSettings } from '../harness/quick-php.ts';
import { SnapMachine } from '../harness/snap-machine.ts';
import { assert } from './story.ts';

export const FIRST = '51000';
export const SECOND = '52034';
export const EXTRA_APPS = '/var/snap/nextcloud/current/nextcloud/extra-apps';
const DATA = '/var/snap/nextcloud/common/nextcloud/data';

/** A machine with the snap, a key server beside it, and what its administrator holds. */
export class SnapStory {
  readonly tree: NextcloudTree;
  /** What the second revision brings: the next release where Nextcloud goes there, else the same one packed anew. */
  readonly next: NextcloudTree;
  readonly #cleanup: Cleanup;
  readonly #files = new Map<string, string>();
  readonly #admin = { user: 'admin', password: randomBytes(12).toString('hex') };
  #machine: SnapMachine | null = null;
  #keyServer: KeyServer | null = null;
  #invitation: Invitation | null = null;
  #instanceId = '';

  constructor(tree: NextcloudTree, trees: readonly NextcloudTree[], cleanup: Cleanup) {
    const after = nextTree(tree, trees);
    this.tree = tree;
    this.next = after?.allowed === true ? after.tree : tree;
    this.#cleanup = cleanup;
  }

  get machine(): SnapMachine {
    return set(this.#machine);
  }

  get keyServer(): KeyServer {
    return set(this.#keyServer);
  }

  get invitation(): Invitation {
    return set(this.#invitation);
  }

  get stateFolder(): string {
    return `/var/snap/nextcloud/common/latchkey/${this.#instanceId}`;
  }

  get instanceId(): string {
    return this.#instanceId;
  }

  /** Of the administrator, who sits on the machine itself here. */
  own(name: string): string {
    return join(this.machine.shared, name);
  }

  /** A stock snap with encryption on and a file in it. */
  async install(): Promise<void> {
    const releases = [
      { revision: FIRST, tree: this.tree },
      { revision: SECOND, tree: this.next },
    ];
    this.#machine = await SnapMachine.start(releases, { cleanup: this.#cleanup });
    const { user, password } = this.#admin;
    const account = ['--admin-user', user, '--admin-pass', password];
    await this.machine.occ(['maintenance:install', '--database', 'sqlite', '--data-dir', DATA, ...account]);
    // the snap's database belongs to a revision, as its configuration does
    const move = 'mv "$1/owncloud.db" "$2/mysql/" && ln -s "$2/mysql/owncloud.db" "$1/owncloud.db"';
    await this.machine.command(['sh', '-c', move, 'sh', DATA, '/var/snap/nextcloud/current']);
    const system = {
      skeletondirectory: '',
      templatedirectory: '',
      has_internet_connection: false,
      'auth.bruteforce.protection.enabled': false,
      'ratelimit.protection.enabled': false,
      ...quickSettings(),
    };
    await this.machine.occ(['config:import'], { input: JSON.stringify({ system }) });
    await this.machine.occ(['app:disable', 'password_policy', 'firstrunwizard', 'survey_client']);
    await this.machine.occ(['app:enable', 'encryption']);
    await this.machine.occ(['encryption:enable']);
    this.#instanceId = (await this.machine.occ(['config:system:get', 'instanceid'])).stdout;
    await this.machine.serve();
    await this.write('stock.txt');
  }

  async openKeyServer(): Promise<void> {
    const port = await freePort();
    this.#keyServer = await KeyServer.init({ data: this.own('keyserver'), port, cleanup: this.#cleanup });
    await this.keyServer.start();
    this.#invitation = await this.keyServer.addClient('cloud', ['--from', '127.0.0.1/32']);
    createSecretFile(this.own('passphrase'), `${randomBytes(18).toString('base64url')}\n`);
    writeFileSync(this.own('ca.pem'), this.invitation.ca);
  }

  /** Runs ncpatch on the machine, with `--json`; a refusal throws what it said unless any exit code is taken. */
  async ncpatch(argv: readonly [string, ...string[]], options: { input?: string; anyExit?: boolean } = {}) {
    const [program, ...first] = projectProgram('patcher/main.ts');
    const answer = await this.machine.command([program, ...first, ...argv, '--local', '--json'], options);
    return { ...answer, json: () => JSON.parse(answer.stdout) as Record<string, unknown> };
  }

  /** Writes a file by the web and sees that it lies encrypted on the disk. */
  async write(name: string): Promise<void> {
    const text = `${name} ${randomBytes(16).toString('hex')}\n`;
    const { status } = await new WebDav(this.machine.web, this.#admin, { session: false }).put(name, text);
    assert(status === 201 || status === 204, `writing ${name} was answered with ${status}`);
    const stored = await this.machine.command(['head', '-c', '6', `${DATA}/admin/files/${name}`]);
    assert(stored.stdout === 'HBEGIN', `${name} is not encrypted on the disk`);
    this.#files.set(name, text);
  }

  /** Reads everything written so far by the web, as a client without a session. */
  async readAll(): Promise<void> {
    for (const [name, text] of this.#files) {
      const answer = await new WebDav(this.machine.web, this.#admin, { session: false }).get(name);
      assert(answer.status === 200 && answer.text === text, `reading ${name} was answered with ${answer.status}`);
    }
  }

  forget(name: string): void {
    this.#files.delete(name);
  }

  async privateKeys(): Promise<string[]> {
    const found = await this.machine.command(['find', '/var/snap', '-name', '*.privateKey']);
    return found.stdout.split('\n').filter((line) => line !== '');
  }
}

function set<T>(value: T | null): T {
  if (value === null) throw new Error('an earlier step must have made this');
  return value;
}
