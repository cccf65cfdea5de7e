import { call } from '../keyserver/honest-client.ts';
import { type Attack, control, Findings, skipped } from './attack.ts';
import { auditTail, holdsKey, keyId, startEnrolledServer } from './enrolled-server.ts';

/** Every 127.x.x.x is this machine on Linux; elsewhere a second address would have to be set up first. */
const elsewhere = '127.0.0.2';

/** Token, TOTP secret and the newest link, used from an address that is not the enrolled host's. */
export const elsewhereRow: Attack = {
  row: '3',
  attackerHas: 'the token and TOTP secret, from another machine outside the tunnel',
  stock: '-',
  latchkey: '403 by source, on record',
  run: async (scene) => {
    if (process.platform !== 'linux') return skipped('needs a second loopback address');
    const made = await startEnrolledServer(scene, { from: '127.0.0.1/32' });
    const { host, port, key, server } = made;
    const [home, away] = [
      { port, agent: made.agent() },
      { port, agent: made.agent(elsewhere) },
    ];
    const before = await host.exchange(home, [keyId]);
    control(holdsKey(before, key), 'the host itself gets no key from its own address');

    const found = new Findings();
    const thief = host.copy();
    const open = await call(away, 'POST', '/v1/open', thief.openHeaders(), thief.openBody());
    found.expect(open.status === 403 && open.body.code === 'source_refused', `open answered ${open.status}`);
    const forwarded = { 'X-Forwarded-For': '127.0.0.1', Forwarded: 'for=127.0.0.1', 'X-Real-IP': '127.0.0.1' };
    const proxied = await call(away, 'POST', '/v1/open', { ...thief.openHeaders(), ...forwarded }, thief.openBody());
    found.expect(proxied.status === 403, `with proxy headers open answered ${proxied.status}`);
    const basic = await call(away, 'GET', '/key', thief.openHeaders());
    found.expect(basic.status === 403, `GET /key answered ${basic.status}`);
    const beat = await call(away, 'POST', '/v1/heartbeat', thief.headers(), thief.heartbeatBody());
    found.expect(beat.status === 403, `a heartbeat answered ${beat.status}`);
    for (const answer of [open, proxied, basic, beat]) found.expect(!holdsKey(answer, key), 'the key came along');

    // half an exchange from home, its other half from elsewhere
    const half = await call(home, 'POST', '/v1/open', host.openHeaders(), host.openBody());
    host.opened(String(half.body.next));
    const stolen = host.copy();
    const body = stolen.releaseBody(String(half.body.session), [keyId]);
    const release = await call(away, 'POST', '/v1/release', stolen.headers(), body);
    found.expect(release.status === 403 && !holdsKey(release, key), `release answered ${release.status}`);

    const records = (await auditTail(server)).filter((record) => record.source === elsewhere);
    const recorded = records.some((record) => record.detail?.code === 'source_refused');
    found.expect(recorded, 'no audit record names the other address');
    const after = await host.exchange(home, [keyId]);
    found.expect(holdsKey(after, key), `the host itself is answered ${after.status} afterwards`);
    return found.outcome(`403 to all five calls from ${elsewhere}, on record; the host itself goes on`);
  },
};
