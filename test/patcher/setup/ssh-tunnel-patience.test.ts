import { expect, it } from 'vitest';
import { layTunnel, type TunnelState } from '../../../patcher/setup/ssh-tunnel/ssh-tunnel.ts';
import type { SshTunnelPlan } from '../../../patcher/setup/ssh-tunnel/ssh-tunnel-plan.ts';
import { tunnelService } from '../../../patcher/setup/ssh-tunnel/tunnel-service.ts';
import type { Transport } from '../../../patcher/transports/transport.ts';

const PLAN: SshTunnelPlan = {
  name: 'cloud',
  instance: 'oc1234567890',
  account: 'latchkey-tunnel',
  dials: 'home',
  endpoint: { host: 'cloud.example.org', port: 22 },
  listen: 8443,
  target: '127.0.0.1:8443',
  aliveSeconds: 5,
  retrySeconds: 5,
};
const ANSWERS: Readonly<Record<string, string>> = {
  prepare: `key ssh-ed25519 ${'A'.repeat(68)}\n`,
  trial: 'trial in\n',
  await: 'listener ours\n',
};
/** As was seen with an sshd that asks its client each 15 s at the most. */
const HELD_SECONDS = 150;

it('a first line is waited for as long as a dead one holds its port, and the connection is kept for all of it', async () => {
  const waits: [seconds: number, timeoutMs: number][] = [];
  const end = {
    label: 'an end',
    run: async ([, , , mode = '', seconds]: readonly string[], { timeoutMs = 0 }: { timeoutMs?: number }) => {
      if (mode === 'await') waits.push([Number(seconds), timeoutMs]);
      return { exit: 0, stdout: Buffer.from(ANSWERS[mode] ?? ''), stderr: '' };
    },
  } as unknown as Transport;
  const state = { dialling: { ssh: '/usr/bin/ssh' }, service: tunnelService('systemd', PLAN, '/usr/bin/ssh') };
  await layTunnel({ plan: PLAN, home: end, server: end }, state as unknown as TunnelState);
  expect(waits).toHaveLength(1);
  for (const [seconds, timeoutMs] of waits) {
    expect(seconds).toBeGreaterThan(HELD_SECONDS);
    expect(timeoutMs).toBeGreaterThan(seconds * 1_000);
  }
});
