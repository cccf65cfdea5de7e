import { tunnelObstacle } from '../harness/namespaces.ts';
import { type Attack, control, Findings, skipped } from './attack.ts';
import { givesKey, otherBootId, startTunnelledServer } from './tunnelled-host.ts';

const hour = 3_600_000;

interface Pending {
  readonly id: string;
  readonly state: string;
}

/**
 * The host's machine is stopped, its disk copied, and another machine started from the copy at the same address: what a
 * hosting company does with every move. To the chain it is the host; only its absence tells.
 */
export const movedServerRow: Attack = {
  row: '5',
  attackerHas: "the server stopped, its disk cloned, its address taken over (the hosting company's own move)",
  stock: '-',
  latchkey: 'held by presence, a person is asked; if released anyway, the original forks on return',
  run: async (scene) => {
    const obstacle = tunnelObstacle();
    if (obstacle !== null) return skipped(obstacle);
    const { tunnel, server, moveClock, addHost, approve } = await startTunnelledServer(scene);
    const guarded = await addHost('guarded');
    const unguarded = await addHost('unguarded', ['--presence', 'off', '--fingerprint', 'off']);
    for (const host of [guarded, unguarded]) {
      control(givesKey(await host.ask('exchange'), host), 'an honest host gets no key');
    }
    moveClock(2 * hour); // long enough that setting up is over
    for (const host of [guarded, unguarded]) {
      control((await host.ask('heartbeat')).body.state === 'ok', 'an honest heartbeat is not answered ok');
    }

    await tunnel.setNextcloudOnline(false);
    const elsewhere = { place: await tunnel.impostor(), bootId: otherBootId };
    moveClock(2 * hour + 20 * 60_000);
    const loose = unguarded.clone(elsewhere);
    control(givesKey(await loose.ask('exchange'), unguarded), 'the copy gets no key even with the gate off');

    const found = new Findings();
    const clone = guarded.clone(elsewhere);
    const held = await clone.ask('exchange');
    found.expect(held.status === 202 && !givesKey(held, guarded), `the copy was answered ${held.status}`);
    await clone.ask('heartbeat');
    const stillHeld = await clone.ask('exchange');
    found.expect(stillHeld.status === 202, `after a heartbeat the copy was answered ${stillHeld.status}`);
    found.expect(stillHeld.body.approval === held.body.approval, 'the owner is asked twice for one move');
    const list = (await server.command(['approval', 'list'])).json() as { approvals: readonly Pending[] };
    found.expect(list.approvals.length === 1, `${list.approvals.length} approvals wait`);
    found.expect((await server.command(['alert', 'log'])).stdout.includes('"hold"'), 'no alert was queued');

    // the owner is taken in
    await approve(String(held.body.approval));
    control(givesKey(await clone.ask('exchange'), guarded), 'what a person said yes to is not released');
    await tunnel.setNextcloudOnline(true);
    const beat = await guarded.ask('heartbeat');
    found.expect(
      beat.body.state === 'purge',
      `the original's first heartbeat was answered ${JSON.stringify(beat.body)}`,
    );
    const locked = await clone.ask('exchange');
    found.expect(locked.status === 423, `the copy was answered ${locked.status} after the original was back`);
    return found.outcome(
      'started from the copied disk at the same address with the same WireGuard key: 202 and one approval, heartbeats do not ' +
        'clear it; approved all the same, the original forked on its return and both are locked',
    );
  },
};
