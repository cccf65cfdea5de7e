import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { join } from 'node:path';
import { writeFileAtomic } from '../../platform/files.ts';
import { type Credentials, call, HonestClient, type LinkState } from '../keyserver/honest-client.ts';

/**
 * An enrolled host as a process of its own, so that it can run on any machine of a test; all it has is a folder, and who
 * copies the folder is that host. `host-process.ts FOLDER enrol|exchange|heartbeat` prints the answer as JSON.
 */
interface HostFolder {
  readonly host: string;
  readonly port: number;
  readonly ca: string;
  readonly keyId: string;
  /** What to enrol with, and the key that is escrowed then. */
  readonly code: string;
  readonly grant: string;
  readonly key: string;
  readonly credentials?: Credentials;
  readonly state?: LinkState;
  readonly seen?: { readonly seq: number; readonly head: string } | null;
}

/** What the machine it runs on adds: its boot id, and how far its clock is moved, ms. */
interface Surroundings {
  readonly bootId: string;
  readonly skew: number;
}

const [folder = '', what = '', surroundings = '{}'] = process.argv.slice(2);
const { bootId, skew } = JSON.parse(surroundings) as Surroundings;
const file = join(folder, 'host.json');
let kept = JSON.parse(readFileSync(file, 'utf8')) as HostFolder;
const now = (): number => Date.now() + skew;
const line = { host: kept.host, port: kept.port, agent: new Agent({ ca: kept.ca, minVersion: 'TLSv1.3' }) };

function keep(change: Partial<HostFolder>): void {
  kept = { ...kept, ...change };
  writeFileAtomic(file, JSON.stringify(kept), { mode: 0o600 });
}

function client(): HonestClient {
  if (kept.credentials === undefined) throw new Error('not enrolled');
  const made = new HonestClient(kept.credentials, now);
  if (kept.state !== undefined) Object.assign(made.state, kept.state);
  return made;
}

async function enrol() {
  const answer = await call(line, 'POST', '/v1/enroll', {}, { code: kept.code });
  if (answer.status !== 201) return answer;
  keep({ credentials: { ...(answer.body as unknown as Credentials), grant: kept.grant } });
  return call(line, 'PUT', `/v1/keys/${kept.keyId}`, client().headers(), { key: kept.key, grant: kept.grant });
}

async function exchange() {
  const made = client();
  const body = { ...made.openBody(), bootId, seen: kept.seen ?? null };
  keep({ state: made.state });
  const open = await call(line, 'POST', '/v1/open', made.openHeaders(), body);
  if (open.status !== 200) return open;
  made.opened(String(open.body.next));
  const request = made.releaseBody(String(open.body.session), [kept.keyId]);
  keep({ state: made.state }); // before it goes on
  const release = await call(line, 'POST', '/v1/release', made.headers(), request);
  if (release.status !== 200) return release;
  made.released();
  const { seq, hash } = release.body.head as { seq: number; hash: string };
  keep({ state: made.state, seen: { seq, head: hash } });
  return release;
}

async function heartbeat() {
  const made = client();
  const body = made.heartbeatBody(bootId);
  keep({ state: made.state });
  return call(line, 'POST', '/v1/heartbeat', made.headers(), body);
}

const calls: Readonly<Record<string, () => ReturnType<typeof call>>> = { enrol, exchange, heartbeat };
const chosen = calls[what];
if (chosen === undefined) throw new Error(`nothing is called ${what}`);
const { status, body } = await chosen();
line.agent.destroy();
process.stdout.write(`${JSON.stringify({ status, body })}\n`);
