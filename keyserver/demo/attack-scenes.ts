import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeBase64Url } from '../../platform/encoding.ts';
import { findClient, resetClient } from '../clients/client-admin.ts';
import { ChainedClient, type Host, type Sent } from './client.ts';
import type { Scene } from './scene.ts';
import {
  answerData,
  answerText,
  chainState,
  clientName,
  findRecord,
  hostFor,
  lastRecords,
  recordText,
  type Walk,
} from './walk-facts.ts';

export async function replayScene(walk: Walk, client: ChainedClient, recorded: Sent): Promise<Scene> {
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

export async function wrongTokenScene(walk: Walk, host: Host, client: ChainedClient, keyId: string): Promise<Scene> {
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
export async function cloneScene(walk: Walk, client: ChainedClient, keyId: string): Promise<Scene> {
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

export async function recoveryScene(walk: Walk, keyId: string, key: Buffer): Promise<Scene> {
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
