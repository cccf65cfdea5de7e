import { readFileSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { join } from 'node:path';
import { run } from '../../platform/run.ts';
import type { NextcloudInstance } from '../harness/nextcloud-instance.ts';
import { HonestClient, type Machine } from '../keyserver/honest-client.ts';
import { type Attack, control, fell, skipped } from './attack.ts';
import { auditTail } from './enrolled-server.ts';
import { openKeyBlob } from './nextcloud-crypto.ts';
import { readStolenFile, secretOf } from './thief.ts';

interface ClientFile {
  readonly clientId: string;
  readonly token: string;
  readonly totpSecret: string;
}

interface LinkFile {
  readonly version: 1;
  readonly current: string;
  readonly next: string | null;
  readonly time: number;
  readonly seen: unknown;
}

/** What the app tells of the machine: root runs the same code there. */
async function machineOf(instance: NextcloudInstance): Promise<Machine> {
  const names = 'OCA\\RemoteKeyStorage\\Machine';
  const code = `require $argv[1]; echo json_encode(['fingerprint' => ${names}\\Fingerprint::current(), 'bootId' => ${names}\\BootId::current()]);`;
  const autoload = join(import.meta.dirname, '..', '..', 'php-app', 'autoload.php');
  const { stdout } = await run(instance.php(['-r', code, autoload]), { timeoutMs: 30_000 });
  const told = JSON.parse(stdout.toString('utf8')) as Record<string, string | null>;
  return Object.fromEntries(Object.entries(told).filter(([, value]) => value !== null));
}

/** Nothing can be done against this one, and the table says so; what is shown is what is left: a record, and an end. */
export const rootRow: Attack = {
  row: '14',
  attackerHas: 'root on the running, enrolled server',
  stock: 'reads every file',
  latchkey: 'gets the key. On record, bounded by rate, ends with the kill switch',
  run: async (scene) => {
    const obstacle = scene.obstacle();
    if (obstacle !== null) return skipped(obstacle);
    const { keyServer, invitation, stateFolder, now, doors, instance } = await scene.nextcloud();
    const read = (name: string): unknown => JSON.parse(readFileSync(join(stateFolder, name), 'utf8'));
    const client = read('client.json') as ClientFile;
    const links = read('link.json') as LinkFile;
    const thief = new HonestClient({ ...client, link: links.current, grant: '' });
    Object.assign(thief.state, { next: links.next, time: links.time });
    const text = (name: string): string => readFileSync(join(stateFolder, name), 'utf8');
    const shown = { cert: text('client.crt'), key: text('client.key') };
    const agent = new Agent({ ca: invitation.ca, keepAlive: true, ...shown });
    scene.row.add('connections', () => agent.destroy());
    const line = { port: Number(new URL(invitation.url).port), agent };
    const before = (await auditTail(keyServer, 2000)).at(-1)?.seq ?? 0;
    const ids = [...doors.written.keys()].length > 0 ? (read('client.json') as { keys: string[] }).keys : [];
    const machine = await machineOf(instance);
    const answer = await thief.exchange(line, ids, machine);
    const { current, next, time } = thief.state;
    // with the link put back where it was taken from, the server's own next request goes on from it
    writeFileSync(join(stateFolder, 'link.json'), JSON.stringify({ ...links, current, next, time }));
    control(answer.status === 200, `the enrolled server is answered ${answer.status}`);
    const secret = secretOf(now);
    control(secret !== null, 'config.php has no secret');
    const blobs = Object.entries(answer.body.keys as Record<string, string>);
    const pems = blobs.flatMap(
      ([id, text]) => openKeyBlob(Buffer.from(text, 'base64'), secret, id.slice(0, -11)) ?? [],
    );
    const { user } = instance.admin;
    const opened = [...doors.written].filter(
      ([path, text]) => readStolenFile(now, user, path, pems)?.toString() === text,
    );
    control(opened.length === doors.written.size, 'root does not get the key, which cannot be');

    const records = (await auditTail(keyServer, 2000)).filter((record) => record.seq > before);
    if (!records.some((record) => record.event === 'key_released')) return fell('root gets the key without a record');
    await keyServer.command(['kill', '--client', 'cloud']);
    const after = await thief.exchange(line, ids, machine);
    await keyServer.command(['revive', '--client', 'cloud']);
    if (after.status === 200) return fell('root still gets the key after the kill switch');
    return {
      outcome: 'gets-the-key',
      evidence: `root reads all ${opened.length} files, on record as any release; after the kill switch: ${after.status}`,
    };
  },
};
