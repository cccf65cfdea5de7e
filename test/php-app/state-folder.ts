import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { join } from 'node:path';
import type { Invitation } from '../harness/keyserver-process.ts';
import { type Credentials, call } from '../keyserver/honest-client.ts';

export interface LinkFile {
  readonly version: number;
  readonly current: string;
  readonly next: string | null;
  readonly time: number;
  readonly seen: { readonly seq: number; readonly head: string } | null;
}

/** A host's state folder with the bytes that the app writes, filled in by a test. */
export class StateFolder {
  readonly path: string;
  readonly credentials: Credentials;

  private constructor(path: string, credentials: Credentials) {
    this.path = path;
    this.credentials = credentials;
  }

  /** Spends an invitation of a running key server. */
  static async enroll(path: string, invitation: Invitation, keys: readonly string[] = []): Promise<StateFolder> {
    const agent = new Agent({ ca: invitation.ca });
    const port = Number(new URL(invitation.url).port);
    const answer = await call({ port, agent }, 'POST', '/v1/enroll', {}, { code: invitation.code });
    agent.destroy();
    if (answer.status !== 201) throw new Error(`enrolment answered ${answer.status}`);
    const { clientId, token, totpSecret, link } = answer.body as unknown as Credentials;
    const credentials = { clientId, token, totpSecret, link, grant: invitation.grant };
    return StateFolder.make(path, credentials, { url: invitation.url, ca: invitation.ca, keys });
  }

  static make(
    path: string,
    credentials: Credentials,
    about: { readonly url: string; readonly ca: string; readonly keys?: readonly string[] },
  ): StateFolder {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const folder = new StateFolder(path, credentials);
    const { clientId, token, totpSecret, link } = credentials;
    const keys = about.keys ?? [];
    const client = { version: 1, urls: [about.url], clientId, token, totpSecret, masterKeyId: null, keys };
    folder.write('client.json', `${JSON.stringify(client, null, 4)}\n`);
    folder.write('ca.pem', about.ca);
    folder.setLink({ version: 1, current: link, next: null, time: 0, seen: null });
    return folder;
  }

  /** Stores a key made up for it under the folder's grant, and returns it. */
  async storeKey(id: string): Promise<Buffer> {
    const { clientId, token, grant } = this.credentials;
    const agent = new Agent({ ca: this.read('ca.pem') });
    const port = Number(new URL(String((this.json('client.json').urls as unknown[])[0])).port);
    const key = randomBytes(500);
    const headers = { 'X-Client': clientId, 'X-Auth-Token': token };
    const answer = await call({ port, agent }, 'PUT', `/v1/keys/${id}`, headers, {
      key: key.toString('base64'),
      grant,
    });
    agent.destroy();
    if (answer.status !== 201) throw new Error(`the key server answered ${answer.status}`);
    return key;
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.path, name), text, { mode: 0o600 });
  }

  read(name: string): string {
    return readFileSync(join(this.path, name), 'utf8');
  }

  json(name: string): Record<string, unknown> {
    return JSON.parse(this.read(name)) as Record<string, unknown>;
  }

  get link(): LinkFile {
    return this.json('link.json') as unknown as LinkFile;
  }

  setLink(changes: Partial<LinkFile>): void {
    const before = changes.version === undefined ? this.link : {};
    this.write('link.json', `${JSON.stringify({ ...before, ...changes })}\n`);
  }
}
