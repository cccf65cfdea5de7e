import { mkdtempSync } from 'node:fs';
import { Agent } from 'node:https';
import { join } from 'node:path';
import { systemRandom } from '../../platform/clock.ts';
import { freePort } from '../harness/free-port.ts';
import { type Invitation, KeyServer } from '../harness/keyserver-process.ts';
import { type Answer, type Credentials, call, HonestClient } from '../keyserver/honest-client.ts';
import type { Scene } from './scene.ts';

export const keyId = 'master_0123abcd.privateKey';

/** A running key server, as its operator set it up, and one host enrolled at it that has its key there. */
export interface EnrolledServer {
  readonly server: KeyServer;
  readonly data: string;
  readonly port: number;
  readonly ca: string;
  /** A way to the server; of the host's own unless another was asked for. */
  agent(localAddress?: string): Agent;
  readonly host: HonestClient;
  /** What was stored under `keyId`. */
  readonly key: Buffer;
  readonly invitation: Invitation;
}

export interface Wanted {
  /** `client add --from`. */
  readonly from?: string;
  /** Arguments of `client policy`. */
  readonly policy?: readonly string[];
  readonly key?: Buffer;
  /** Where the data directory is made; a folder of its own by default. */
  readonly folder?: string;
}

export async function startEnrolledServer(scene: Scene, wanted: Wanted = {}): Promise<EnrolledServer> {
  const cleanup = scene.row;
  const folder = wanted.folder ?? mkdtempSync(join(scene.folder, 'keyserver-'));
  const data = join(folder, 'data');
  const port = await freePort();
  const server = await KeyServer.init({ data, port, cleanup });
  const invitation = await server.addClient('cloud', ['--from', wanted.from ?? '127.0.0.1/32']);
  if (wanted.policy !== undefined) await server.command(['client', 'policy', 'cloud', ...wanted.policy]);
  await server.start();
  const agent = (localAddress = '127.0.0.1'): Agent => {
    const made = new Agent({ ca: invitation.ca, keepAlive: true, minVersion: 'TLSv1.3', localAddress });
    cleanup.add('connections', () => made.destroy());
    return made;
  };
  const line = { port, agent: agent() };
  const enrolled = await call(line, 'POST', '/v1/enroll', {}, { code: invitation.code });
  if (enrolled.status !== 201) throw new Error(`enrolment answered ${enrolled.status}`);
  const { clientId, token, totpSecret, link } = enrolled.body as unknown as Credentials;
  const host = new HonestClient({ clientId, token, totpSecret, link, grant: invitation.grant });
  const key = wanted.key ?? systemRandom(3400);
  const body = { key: key.toString('base64'), grant: invitation.grant };
  const stored = await call(line, 'PUT', `/v1/keys/${keyId}`, host.headers(), body);
  if (stored.status !== 201) throw new Error(`escrow answered ${stored.status}`);
  return { server, data, port, ca: invitation.ca, agent, host, key, invitation };
}

/** Whether an answer hands out the key, by whatever name. */
export function holdsKey(answer: Answer, key: Buffer): boolean {
  const bytes = Buffer.from(answer.text);
  return [key.toString('base64'), key.toString('base64url'), key.toString('hex')].some((text) => bytes.includes(text));
}

interface AuditRecord {
  readonly seq: number;
  readonly event: string;
  readonly client?: string;
  readonly source?: string;
  readonly reason?: string;
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** The last records of the audit log, as `keyserver audit tail` prints them. */
export async function auditTail(server: KeyServer, lines = 200): Promise<readonly AuditRecord[]> {
  const answer = await server.command(['audit', 'tail', '--lines', String(lines)]);
  return (answer.json() as { records: AuditRecord[] }).records;
}
