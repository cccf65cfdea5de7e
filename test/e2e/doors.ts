import { createHash } from 'node:crypto';
import { Browser, downloadShared, sharePublicly, WebDav } from '../harness/nextcloud-client.ts';
import type { NextcloudInstance } from '../harness/nextcloud-instance.ts';

/** What is written while there is no key; it must not be found on the disk. */
export const awayText = 'must not be written in clear, nor under a new key\n';

/** Every way by which somebody gets at a file of a Nextcloud. */
export const doorNames = ['web', 'dav', 'dav with session', 'public link', 'occ', 'cron'] as const;
export type Door = (typeof doorNames)[number];

function expectSame(door: Door, path: string, got: string, wanted: string): void {
  if (got !== wanted) throw new Error(`${door}: ${path} came back as ${JSON.stringify(got.slice(0, 120))}`);
}

function expectStatus(door: Door, path: string, got: number, wanted: readonly number[]): void {
  if (!wanted.includes(got)) throw new Error(`${door}: ${path} was answered ${got}`);
}

/** Files that were written to an instance, and how to read and write them by each door. */
export class Doors {
  readonly #instance: NextcloudInstance;
  /** Path → content, of all that was written. */
  readonly #written = new Map<string, string>();
  #shared: { readonly path: string; readonly token: string } | null = null;

  constructor(instance: NextcloudInstance) {
    this.#instance = instance;
  }

  get written(): ReadonlyMap<string, string> {
    return this.#written;
  }

  #dav(session = false): WebDav {
    return new WebDav(this.#instance.address, this.#instance.admin, { session });
  }

  /** Writes one file by each door that can write; a larger one goes over WebDAV, of several encrypted blocks. */
  async write(tag: string): Promise<void> {
    const text = (door: string): string => `${tag} by ${door}\n`;
    const big = `${tag} `.repeat(6_000);
    const dav = this.#dav();
    for (const [path, content] of [
      [`${tag}-dav.txt`, text('dav')],
      [`${tag}-big.txt`, big],
    ] as const) {
      expectStatus('dav', path, (await dav.put(path, content)).status, [201, 204]);
      this.#written.set(path, content);
    }
    const session = this.#dav(true);
    for (const path of [`${tag}-session-1.txt`, `${tag}-session-2.txt`]) {
      expectStatus('dav with session', path, (await session.put(path, text('session'))).status, [201, 204]);
      this.#written.set(path, text('session'));
    }
    const occPath = `${tag}-occ.txt`;
    const { user } = this.#instance.admin;
    await this.#instance.occ(['files:put', '-', `${user}/files/${occPath}`], { input: text('occ') });
    this.#written.set(occPath, text('occ'));
    const browser = new Browser(this.#instance.address, this.#instance.admin);
    expectStatus('web', 'sign-in', await browser.signIn(), [200]);
    const webPath = `${tag}-web.txt`;
    expectStatus('web', webPath, (await browser.put(webPath, text('web'))).status, [201, 204]);
    this.#written.set(webPath, text('web'));
  }

  async share(path: string): Promise<void> {
    this.#shared = { path, token: await sharePublicly(this.#instance.address, this.#instance.admin, `/${path}`) };
  }

  /** Reads by every door; over WebDAV the files of one tag, or all there are. */
  async read(tag?: string): Promise<void> {
    await this.readByWeb();
    await this.readByDav(tag);
    await this.readByOcc(this.#first());
    await this.readByLink();
    await this.readByCron(this.#first());
  }

  /** One file in six without a session, where stock Nextcloud stretches its secret twice (a second each), the others with. */
  async readByDav(tag?: string): Promise<void> {
    const dav = this.#dav();
    const session = this.#dav(true);
    const chosen = [...this.#written].filter(([path]) => tag === undefined || path.startsWith(`${tag}-`));
    for (const [turn, [path, content]] of chosen.entries()) {
      const [door, client] = turn % 6 === 0 ? (['dav', dav] as const) : (['dav with session', session] as const);
      const answer = await client.get(path);
      expectStatus(door, path, answer.status, [200]);
      expectSame(door, path, answer.text, content);
    }
  }

  #first(): string {
    const first = this.#written.keys().next();
    if (first.done === true) throw new Error('nothing has been written yet');
    return first.value;
  }

  #content(path: string): string {
    return this.#written.get(path) ?? '';
  }

  async readByWeb(): Promise<void> {
    const browser = new Browser(this.#instance.address, this.#instance.admin);
    expectStatus('web', 'sign-in', await browser.signIn(), [200]);
    const path = this.#first();
    const answer = await browser.get(path);
    expectStatus('web', path, answer.status, [200]);
    expectSame('web', path, answer.text, this.#content(path));
  }

  async readByOcc(path: string): Promise<void> {
    const said = await this.#instance.occ(['files:get', `${this.#instance.admin.user}/files/${path}`, '-']);
    expectSame('occ', path, said.stdout, this.#content(path));
  }

  async readByLink(): Promise<void> {
    if (this.#shared === null) throw new Error('nothing has been shared yet');
    const { path, token } = this.#shared;
    const answer = await downloadShared(this.#instance.address, token);
    expectStatus('public link', path, answer.status, [200]);
    expectSame('public link', path, answer.text, this.#content(path));
  }

  async readByCron(path: string): Promise<void> {
    const instance = this.#instance;
    const order = { user: instance.admin.user, path, found: 'nothing' };
    await instance.occ(['config:import'], { input: JSON.stringify({ apps: { latchkeyprobe: order } }) });
    const ran = await instance.cron();
    if (ran.exit !== 0) throw new Error(`cron ended with exit code ${ran.exit}: ${ran.stderr.slice(-500)}`);
    const wanted = createHash('sha256').update(this.#content(path)).digest('hex');
    expectSame('cron', path, await instance.appValue('latchkeyprobe', 'found'), wanted);
  }

  /** Overwrites a file by WebDAV and another by occ, which must be refused and leave them as they are. */
  async refuseOverwriting(tag: string): Promise<void> {
    const status = (await this.#dav().put(`${tag}-dav.txt`, 'overwritten')).status;
    expectStatus('dav', `${tag}-dav.txt, overwritten`, status, [503]);
    const path = `${this.#instance.admin.user}/files/${tag}-occ.txt`;
    const put = await this.#instance.occ(['files:put', '-', path], { input: 'overwritten', anyExit: true });
    if (put.exit === 0) throw new Error(`occ: ${tag}-occ.txt was overwritten without a key`);
  }

  /** The statuses with which each door refuses while there is no key. */
  async refusals(): Promise<{ dav: number; link: number; occ: number; put: number }> {
    const first = this.#first();
    const dav = (await this.#dav().get(first)).status;
    // the public half alone is enough to write with: a new file may be taken, but must be readable later
    const put = (await this.#dav().put('away-new.txt', awayText)).status;
    if (put === 201) this.#written.set('away-new.txt', awayText);
    const shared = await downloadShared(this.#instance.address, this.#shared?.token ?? '');
    // Nextcloud 28 answers its error page for a public link with status 200 (OC_Files::get)
    const isPage = shared.headers['content-type']?.startsWith('text/html') === true;
    const given = shared.body.length === 0 || shared.text.includes(this.#content(this.#shared?.path ?? '').trim());
    if (shared.status === 200 && (!isPage || given))
      throw new Error('public link: something was given out without a key');
    const link = shared.status;
    const path = `${this.#instance.admin.user}/files/${first}`;
    const occ = (await this.#instance.occ(['files:get', path, '-'], { anyExit: true })).exit;
    return { dav, link, occ, put };
  }
}
