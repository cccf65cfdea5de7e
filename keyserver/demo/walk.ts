import { generateKeyPairSync } from 'node:crypto';
import { verifyAudit } from '../../platform/audit-chain.ts';
import type { RandomBytes } from '../../platform/clock.ts';
import { sha256 } from '../../platform/encoding.ts';
import type { LatchkeyError } from '../../platform/errors.ts';
import type { Invitation } from '../clients/client-admin.ts';
import { gates } from '../judgement.ts';
import { cloneScene, recoveryScene, replayScene, wrongTokenScene } from './attack-scenes.ts';
import type { Answer } from './call.ts';
import { ChainedClient, type Host } from './client.ts';
import type { Line, Scene } from './scene.ts';
import type { ThrowAwayServer } from './throw-away-server.ts';
import { hostFor, invite, lastRecords, recordText, type Walk } from './walk-facts.ts';

/** What each gate looked at, for the reader; a gate that is not named here shows its verdict alone. */
const looksAt: Readonly<Record<string, string>> = {
  seal: 'the vault is open',
  kill: 'no kill switch is on, for all or for this client',
  source: 'the peer is in the networks of this client',
  rate: 'not too often, no failures before',
  token: 'its digest is the stored one',
  totp: 'the code of this half minute',
  chain: 'the one link that is good now',
  fingerprint: 'the machine looks like the enrolled one',
  presence: 'it was heard all the time',
  habit: 'it fetches as it is used to',
  schedule: 'no hours were set',
  approval: "no gate wants a person's yes",
};

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

/** What Nextcloud's key storage holds is a private key that the instance has encrypted; so is this one. */
function newKey(random: RandomBytes): Buffer {
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: random(24).toString('hex') },
  });
  return Buffer.from(privateKey);
}
