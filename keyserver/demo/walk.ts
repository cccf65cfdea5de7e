import { generateKeyPairSync } from 'node:crypto';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { readAudit, verifyAudit } from '../../platform/audit-chain.ts';
import type { Clock, RandomBytes } from '../../platform/clock.ts';
import { encodeBase64Url, sha256 } from '../../platform/encoding.ts';
import type { LatchkeyError } from '../../platform/errors.ts';
import { addClient, findClient, type Invitation, resetClient } from '../client-admin.ts';
import { gates } from '../judgement.ts';
import { networksFor } from '../networks.ts';
import type { Answer } from './call.ts';
import { ChainedClient, type Host, type Sent } from './client.ts';
import type { Line, Scene } from './scene.ts';
import type { ThrowAwayServer } from './throw-away-server.ts';

const clientName = 'cloud';

interface Walk {
  readonly server: ThrowAwayServer;
  readonly clock: Clock;
  readonly random: RandomBytes;
}

/** What each gate looked at, for the reader; a gate that is not named here shows its verdict alone. */
const looksAt: Readonly<Record<string, string>> = {
  seal: 'the vault is open',
  kill: 'no kill switch is on, for all or for this client',
  source: 'the peer is in the networks of this client',
  rate: 'not too often, no failures before',
  token: 'its digest is the stored one',
  totp: 'the code of this half minute',
  chain: 'the one link that is good now',
};

/** A record of the audit log, as far as the walk-through shows it. */
interface AuditLine {
  readonly seq: number;
  readonly event: string;
  readonly source?: string;
  readonly keys?: readonly string[];
  readonly reason?: string;
  readonly verdicts?: Readonly<Record<string, string>>;
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** Everything up to the serving server, scene by scene, each played when it is asked for. */
export async function* walkThrough(walk: Walk): AsyncGenerator<Scene> {
  const { server, random } = walk;
  yield serverScene(server);

  const invitation = await invite(walk);
  const host = hostFor(walk, 'link.json');
  const client = await ChainedClient.enrol(host, invitation.code);
  yield await enrolmentScene(host, invitation, client);

  const keyId = `master_${random(4).toString('hex')}.privateKey`;
  const key = newKey(random);
  const stored = await client.storeKey(keyId, key, invitation.grant);
  yield escrowScene(server, keyId, key, stored);

  const open = await client.open('cold');
  const recorded = client.last;
  const release = open.status === 200 ? await client.release(open, [keyId]) : open;
  yield await releaseScene(walk, keyId, key, open, release);
  yield await auditScene(walk);

  if (recorded === null) throw new TypeError('nothing was recorded');
  yield await replayScene(walk, client, recorded);
  yield await wrongTokenScene(walk, host, client, keyId);
  yield await cloneScene(walk, client, keyId);
  client.close();
  yield await recoveryScene(walk, keyId, key);
}

function serverScene(server: ThrowAwayServer): Scene {
  return {
    step: 'server',
    title: 'a key server starts on this machine',
    lines: [
      { label: 'serving', text: server.url, tone: 'good' },
      { label: 'transport', text: 'TLS 1.3, certificate of its own authority' },
      { label: 'vault', text: 'AES-256-GCM, opened with a key file' },
      { label: 'data', text: `${server.data.directory} (goes when this ends)`, tone: 'quiet' },
    ],
    data: { url: server.url, data: server.data.directory },
  };
}

async function enrolmentScene(host: Host, invitation: Invitation, client: ChainedClient): Promise<Scene> {
  const again = await ChainedClient.enrol(host, invitation.code).then(
    () => 'accepted',
    (error: LatchkeyError) => `${error.status} ${error.code}`,
  );
  return {
    step: 'enrolment',
    title: 'a client enrols with its one-time code',
    lines: [
      { label: 'client', text: client.credentials.clientId, tone: 'good' },
      { label: 'got', text: 'token, TOTP secret, first link of its chain' },
      { label: 'code again', text: again, tone: 'refused' },
    ],
    data: { clientId: client.credentials.clientId, codeAgain: again },
  };
}

function escrowScene(server: ThrowAwayServer, keyId: string, key: Buffer, stored: Answer): Scene {
  const clear = server.filesHolding(key.subarray(0, 64));
  const digest = sha256(key).toString('hex');
  return {
    step: 'escrow',
    title: 'its key moves to the key server',
    lines: [
      { label: 'key', text: `${keyId}, ${key.length} bytes, still encrypted by the client` },
      { label: 'answer', text: `${stored.status}, sha256 ${digest.slice(0, 16)}…`, tone: 'good' },
      {
        label: 'on disk',
        text:
          clear.length === 0
            ? `sealed: in none of ${server.fileCount()} files in clear`
            : `in clear in ${clear.join(', ')}`,
        tone: 'good',
      },
    ],
    data: { keyId, bytes: key.length, status: stored.status, sha256: digest, filesInClear: clear },
  };
}

async function releaseScene(walk: Walk, keyId: string, key: Buffer, open: Answer, release: Answer): Promise<Scene> {
  const record = (await lastRecords(walk, 1))[0];
  const verdicts = gates.map(({ name }) => [name, record?.verdicts?.[name] ?? 'not asked'] as const);
  const got = Buffer.from((release.body.keys as Record<string, string> | undefined)?.[keyId] ?? '', 'base64');
  const same = got.equals(key);
  return {
    step: 'release',
    title: 'the key is released, through every gate',
    lines: [
      ...verdicts.map(gateLine),
      { label: 'open', text: `${open.status}, next link issued, kept on the client's disk before it goes on` },
      { label: 'release', text: `${release.status}, that link spent`, tone: 'good' },
      { label: 'key', text: same ? 'the same bytes that were stored' : 'other bytes than were stored', tone: 'good' },
    ],
    data: { open: open.status, release: release.status, verdicts: Object.fromEntries(verdicts), sameBytes: same },
  };
}

function gateLine([name, verdict]: readonly [string, string]): Line {
  const passed = verdict === 'pass';
  const text = passed && looksAt[name] !== undefined ? `pass  ${looksAt[name]}` : verdict;
  return { label: name, text, tone: passed ? 'good' : 'refused' };
}

async function auditScene(walk: Walk): Promise<Scene> {
  const { store, auditKey } = walk.server.data;
  const report = await store.read((tx) => verifyAudit(tx, auditKey));
  const records = await lastRecords(walk, 2);
  return {
    step: 'audit',
    title: 'what the audit log says, on disk before the key left',
    lines: [
      ...records.map((record) => ({ label: `record ${record.seq}`, text: recordText(record) })),
      { label: 'chain', text: `${report.records} records, each bound to the one before`, tone: 'good' },
      { label: 'head', text: report.head.hash, tone: 'quiet' },
    ],
    data: { records, head: report.head },
  };
}

async function replayScene(walk: Walk, client: ChainedClient, recorded: Sent): Promise<Scene> {
  const before = await chainState(walk);
  const answer = await client.replay(recorded);
  const moved = (await chainState(walk)) !== before;
  return {
    step: 'replay',
    title: 'somebody plays a recorded request again',
    lines: [
      { label: 'answer', text: answerText(answer), tone: 'refused' },
      { label: 'chain', text: moved ? 'moved' : 'not moved, and no false alarm', tone: 'good' },
    ],
    data: { ...answerData(answer), chainMoved: moved },
  };
}

async function wrongTokenScene(walk: Walk, host: Host, client: ChainedClient, keyId: string): Promise<Scene> {
  const token = encodeBase64Url(walk.random(32));
  const linkFile = join(walk.server.folder, 'guess.json');
  copyFileSync(host.linkFile, linkFile);
  const guesser = new ChainedClient({ ...host, linkFile }, { ...client.credentials, token });
  const { open } = await guesser.exchange([keyId], 'cold');
  guesser.close();
  const record = (await lastRecords(walk, 1))[0];
  return {
    step: 'wrong-token',
    title: 'somebody asks with a wrong token',
    lines: [
      { label: 'answer', text: `${answerText(open)}, the same for anything wrong`, tone: 'refused' },
      { label: 'audit', text: record === undefined ? '' : recordText(record) },
    ],
    data: { ...answerData(open), record },
  };
}

/** The copy asks second, so its own link is spent; had it asked first, the real host's would be. */
async function cloneScene(walk: Walk, client: ChainedClient, keyId: string): Promise<Scene> {
  const copy = hostFor(walk, 'copied-link.json');
  copyFileSync(hostFor(walk, 'link.json').linkFile, copy.linkFile);
  const honest = await client.exchange([keyId], 'expired');
  const thief = new ChainedClient(copy, client.credentials);
  const stolen = await thief.exchange([keyId], 'cold');
  thief.close();
  const after = await client.heartbeat();
  const record = (await findRecord(walk, 'fork_detected')) ?? null;
  return {
    step: 'clone',
    title: 'the server is cloned: same disk, same credentials, same network',
    lines: [
      {
        label: 'real host',
        text: `released a key as usual (${honest.release?.status ?? honest.open.status})`,
        tone: 'good',
      },
      {
        label: 'its copy',
        text: `${answerText(stolen.open)}: ${String(stolen.open.body.reason ?? '')}`,
        tone: 'refused',
      },
      {
        label: 'heartbeat',
        text: `${String(after.body.state)}: cached keys are dropped, a person decides`,
        tone: 'refused',
      },
      { label: 'audit', text: record === null ? '' : recordText(record) },
      { label: 'otherwise', text: 'had the copy asked first, the real host would have shown it', tone: 'quiet' },
    ],
    data: {
      honest: honest.release?.status ?? honest.open.status,
      ...answerData(stolen.open),
      heartbeat: after.body.state,
      record,
    },
  };
}

async function recoveryScene(walk: Walk, keyId: string, key: Buffer): Promise<Scene> {
  const { store } = walk.server.data;
  const { code } = await store.transaction(async (tx) =>
    resetClient(tx, await findClient(tx, clientName), false, walk.clock.now(), walk.random),
  );
  const client = await ChainedClient.enrol(hostFor(walk, 'link.json'), code);
  const { open, release } = await client.exchange([keyId], 'cold');
  const beat = await client.heartbeat();
  client.close();
  const got = Buffer.from((release?.body.keys as Record<string, string> | undefined)?.[keyId] ?? '', 'base64');
  const same = got.equals(key);
  return {
    step: 'recovery',
    title: 'its owner looks, and lets the real one in again',
    lines: [
      { label: 'command', text: `keyserver client reset ${clientName}` },
      {
        label: 'release',
        text: `${release?.status ?? open.status}, ${same ? 'the same bytes' : 'other bytes'}`,
        tone: 'good',
      },
      { label: 'heartbeat', text: String(beat.body.state), tone: 'good' },
    ],
    data: { release: release?.status ?? open.status, sameBytes: same, heartbeat: beat.body.state },
  };
}

function invite({ server, clock, random }: Walk): Promise<Invitation> {
  const networks = networksFor(undefined, server.data.config.listen.host);
  const wanted = { name: clientName, networks, basic: false, escrow: true };
  return server.data.store.transaction((tx) => addClient(tx, wanted, clock.now(), random));
}

function hostFor({ server, clock }: Walk, file: string): Host {
  return {
    url: server.url,
    ca: server.data.ca,
    linkFile: join(server.folder, file),
    fingerprint: sha256('latchkey walk-through').toString('hex'),
    bootId: '5f0c1f5e-0000-4000-8000-000000000001',
    clock,
  };
}

/** What Nextcloud's key storage holds is a private key that the instance has encrypted; so is this one. */
function newKey(random: RandomBytes): Buffer {
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: random(24).toString('hex') },
  });
  return Buffer.from(privateKey);
}

async function lastRecords({ server }: Walk, count: number): Promise<AuditLine[]> {
  const rows = await server.data.store.read(async (tx) => readAudit(tx, 0, 1000));
  return rows.slice(-count).map((row) => JSON.parse(row.body) as AuditLine);
}

async function findRecord(walk: Walk, event: string): Promise<AuditLine | undefined> {
  return (await lastRecords(walk, 1000)).find((record) => record.event === event);
}

/** Everything that moves with a client's messages, for telling whether anything did. */
function chainState({ server }: Walk): Promise<string> {
  return server.data.store.read(async (tx) =>
    JSON.stringify([
      await tx.selectFrom('link').selectAll().execute(),
      await tx.selectFrom('pulse').selectAll().execute(),
    ]),
  );
}

function recordText({ event, reason, detail, keys, source }: AuditLine): string {
  const gate = detail?.gate === undefined ? '' : ` by gate ${String(detail.gate)}`;
  const why = reason === undefined ? '' : ` (${reason})`;
  const what = keys === undefined ? '' : ` ${keys.join(', ')}`;
  return `${event}${gate}${why}${what}${source === undefined ? '' : ` from ${source}`}`;
}

function answerText({ status, body }: Answer): string {
  return `${status} ${String(body.code ?? '')}`.trimEnd();
}

function answerData({ status, body }: Answer): Record<string, unknown> {
  return { status, code: body.code ?? null, ...(body.reason !== undefined && { reason: body.reason }) };
}
