import { tunnelObstacle } from '../harness/namespaces.ts';
import { type Attack, control, Findings, skipped } from './attack.ts';
import { auditTail } from './enrolled-server.ts';
import { givesKey, otherBootId, startTunnelledServer } from './tunnelled-host.ts';

/**
 * Another machine holds the WireGuard key and a copy of the host's disk, and uses both while the host runs. The first of
 * the two to come is served; the second shows that there are two.
 */
export const sameCredentialsRow: Attack = {
  row: '4',
  attackerHas: 'all credentials and the WireGuard key, used elsewhere while the real server runs',
  stock: '-',
  latchkey:
    "caught: whoever comes second forks the chain, at the latest the real server's next heartbeat; lock, purge, alert",
  run: async (scene) => {
    const obstacle = tunnelObstacle();
    if (obstacle !== null) return skipped(obstacle);
    const { tunnel, server, addHost } = await startTunnelledServer(scene);
    const [robbed, quicker] = [await addHost('robbed'), await addHost('quicker')];
    for (const host of [robbed, quicker]) {
      control(givesKey(await host.ask('exchange'), host), 'an honest host gets no key');
      control((await host.ask('heartbeat')).body.state === 'ok', 'an honest heartbeat is not answered ok');
    }
    const elsewhere = { place: await tunnel.impostor(), bootId: otherBootId };
    const found = new Findings();

    // the thief comes first
    const thief = robbed.clone(elsewhere);
    control(givesKey(await thief.ask('exchange'), robbed), 'the thief gets no key although it holds all there is');
    const beat = await robbed.ask('heartbeat');
    found.expect(beat.body.state === 'purge', `the host's next heartbeat was answered ${JSON.stringify(beat.body)}`);
    const again = await thief.ask('exchange');
    found.expect(again.status === 423 && !givesKey(again, robbed), `the thief's next call answered ${again.status}`);
    const locked = await robbed.ask('exchange');
    found.expect(locked.status === 423, `the host's next call answered ${locked.status}: not locked`);

    // the host comes first
    const late = quicker.clone(elsewhere);
    control(givesKey(await quicker.ask('exchange'), quicker), 'the host gets no key any more');
    const refused = await late.ask('exchange');
    found.expect(
      refused.status === 423 && !givesKey(refused, quicker),
      `the late thief was answered ${refused.status}`,
    );
    const warned = await quicker.ask('heartbeat');
    found.expect(warned.body.state === 'purge', `the host then heard ${JSON.stringify(warned.body)}`);

    const forks = (await auditTail(server)).filter((record) => record.event === 'fork_detected');
    found.expect(forks.length === 2, `${forks.length} forks on record`);
    const told = JSON.stringify(forks.map((fork) => fork.detail));
    found.expect(told.includes(otherBootId), 'the record does not name the other machine');
    const alerts = (await server.command(['alert', 'log'])).stdout;
    found.expect(alerts.includes('"fork"'), 'no alert was queued');
    return found.outcome(
      'same WireGuard key, same address, copied disk: one release to whoever was first, then both locked; heartbeats say ' +
        'purge, two forks on record with both boot ids, alerts queued',
    );
  },
};
