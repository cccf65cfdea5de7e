import type { TransportChoice } from './setup-config.ts';
import type { SetupContext, SetupStep } from './setup-step.ts';
import { type DoctorVerdict, doctorStep } from './steps/doctor-step.ts';
import { enrolStep } from './steps/enrol-step.ts';
import { escrowStep } from './steps/escrow-step.ts';
import { hookStep } from './steps/hook-step.ts';
import { keyServerStep } from './steps/key-server-step.ts';
import { sshTunnelStep } from './steps/ssh-tunnel-step.ts';
import { watchStep } from './steps/watch-step.ts';
import { wireguardStep } from './steps/wireguard-step.ts';

/** The steps of a setup, in order. */
export function allSteps(context: SetupContext, tell: (verdict: DoctorVerdict) => void): readonly SetupStep[] {
  return [
    ...tunnels(context, context.config.transport),
    keyServerStep(context),
    hookStep(context),
    enrolStep(context),
    escrowStep(context),
    watchStep(context),
    doctorStep(context, tell),
  ];
}

function tunnels(context: SetupContext, transport: TransportChoice): readonly SetupStep[] {
  return [
    ...(transport === 'ssh' ? [] : [wireguardStep(context)]),
    ...(transport === 'wireguard' ? [] : [sshTunnelStep(context)]),
  ];
}
