import { chmodSync, cpSync, mkdtempSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { call, HonestClient } from '../keyserver/honest-client.ts';
import { type Attack, control, Findings } from './attack.ts';
import { auditTail, holdsKey, keyId, startEnrolledServer } from './enrolled-server.ts';

/** An old copy of the key server's data is put back, so that a host that was revoked since is served again. */
export const oldBackupRow: Attack = {
  row: '8',
  attackerHas: 'an old backup of the key server (to undo a revocation)',
  stock: '-',
  latchkey: 'the other clients remember a newer log: alert',
  run: async (scene) => {
    const made = await startEnrolledServer(scene);
    const { server, host, key, port } = made;
    const line = { port, agent: made.agent() };
    const revoked = await enrolAnother(made, line);
    const first = await host.exchange(line, [keyId]);
    control(holdsKey(first, key), 'the honest host gets no key');
    control(holdsKey(await revoked.exchange(line, [keyId]), key), 'the second host gets no key before it is revoked');

    await server.stop();
    const backup = join(mkdtempSync(join(scene.folder, 'backup-')), 'data');
    cpSync(made.data, backup, { recursive: true });
    chmodSync(backup, 0o700);
    await server.start();
    const thief = revoked.copy();
    await server.command(['client', 'revoke', 'stolen']);
    const answer = await host.exchange(line, [keyId]);
    const { seq, hash } = answer.body.head as { seq: number; hash: string };
    const refused = await revoked.exchange(line, [keyId]);
    control(refused.status === 423, `a revoked host is answered ${refused.status}`);

    await server.stop();
    renameSync(made.data, `${made.data}-new`);
    renameSync(backup, made.data);
    await server.start();
    control(holdsKey(await thief.exchange(line, [keyId]), key), 'the old backup undoes no revocation');

    const found = new Findings();
    const seen = { seq, head: hash };
    const body = { ...host.openBody(), seen };
    const open = await call(line, 'POST', '/v1/open', host.openHeaders(), body);
    const records = await auditTail(server);
    const noticed = records.some((record) => record.event === 'server_rollback_suspected');
    found.expect(noticed, `no record of it; the honest host was answered ${open.status}`);
    const alerts = (await server.command(['alert', 'log'])).stdout;
    found.expect(alerts.includes('"server_rollback_suspected"'), 'no alert was queued');
    return found.outcome(
      'with the old data back the revoked host is served again, until the next message of any other host: it remembers ' +
        "the newer log's head, which goes on record and to the owner as an alert; the app in Nextcloud warns as well",
    );
  },
};

type Made = Awaited<ReturnType<typeof startEnrolledServer>>;

async function enrolAnother(
  made: Made,
  line: { port: number; agent: ReturnType<Made['agent']> },
): Promise<HonestClient> {
  const invitation = await made.server.addClient('stolen', ['--from', '127.0.0.1/32']);
  const enrolled = await call(line, 'POST', '/v1/enroll', {}, { code: invitation.code });
  const credentials = { ...(enrolled.body as Record<string, string>), grant: invitation.grant };
  const client = new HonestClient(credentials as unknown as ConstructorParameters<typeof HonestClient>[0]);
  const body = { key: made.key.toString('base64'), grant: invitation.grant };
  const stored = await call(line, 'PUT', `/v1/keys/${keyId}`, client.headers(), body);
  control(stored.status === 201, `escrow answered ${stored.status}`);
  return client;
}
