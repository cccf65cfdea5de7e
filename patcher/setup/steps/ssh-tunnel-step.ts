import type { SetupContext, SetupStep, StepLook } from '../setup-step.ts';
import { type TunnelObstacle, tunnelObstacle } from '../ssh-tunnel/obstacles.ts';
import { layTunnel, lookAtTunnel, removeTunnel, type TunnelEnds } from '../ssh-tunnel/ssh-tunnel.ts';
import { sshTunnelPlanOf } from '../ssh-tunnel/ssh-tunnel-plan.ts';
import { describeTunnel, describeTunnelRemoval } from '../ssh-tunnel/tunnel-words.ts';

/** Where UDP is blocked: one end keeps an SSH connection to the other open, through which nothing but the key server is reached. */
export function sshTunnelStep(context: SetupContext): SetupStep {
  const ends = (): TunnelEnds => ({
    plan: sshTunnelPlanOf(context),
    home: context.home.transport,
    server: context.server,
  });
  return {
    name: 'ssh-tunnel',
    title: 'connect the two machines by an SSH tunnel',
    needs: [],
    look: async (): Promise<StepLook> => {
      const state = await lookAtTunnel(ends());
      const { plan } = ends();
      const obstacle = tunnelObstacle(state, plan) ?? (await containerObstacle(context));
      if (obstacle !== null) return { state: 'impossible', ...obstacle };
      if (!state.whole) return { state: 'missing' };
      return { state: 'done', words: `port ${plan.listen} of the server leads to ${plan.target} at home` };
    },
    plan: async () => describeTunnel(ends().plan, await lookAtTunnel(ends())),
    carryOut: async () => {
      const { plan } = ends();
      await layTunnel(ends(), await lookAtTunnel(ends()));
      return [
        `port ${plan.listen} of the server, on loopback, leads to ${plan.target} at home`,
        `the key was made on ${plan.dials === 'home' ? 'the machine at home' : 'the server'}, and stays there`,
      ];
    },
    undo: async () => {
      await removeTunnel(ends(), 'unfinished');
      return [];
    },
    planRemoval: async () => describeTunnelRemoval(ends().plan, await lookAtTunnel(ends())),
    takeAway: async () => {
      await removeTunnel(ends(), 'all');
      return [];
    },
  };
}

const NETWORK = ['readlink', '/proc/self/ns/net'] as const;

/** The tunnel ends on the loopback of the machine, which a container with a network of its own does not see. */
async function containerObstacle({ nextcloud }: SetupContext): Promise<TunnelObstacle | null> {
  const { files, machine } = nextcloud.instance;
  if (files === machine) return null;
  const [inside, below] = await Promise.all([files.run(NETWORK), machine.run(NETWORK)]);
  if (inside.exit === 0 && inside.stdout.equals(below.stdout)) return null;
  return {
    code: 'tunnel_outside_container',
    words: `Nextcloud is in ${files.label}, which has a network of its own and does not see the end of an SSH tunnel`,
    hint: 'take "transport": "wireguard", which reaches into it, or have the container use the network of its machine',
  };
}
