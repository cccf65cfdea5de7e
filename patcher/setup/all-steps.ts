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
    ...tunnelSteps(context),
    keyServerStep(context),
    hookStep(context),
    enrolStep(context),
    escrowStep(context),
    watchStep(context),
    doctorStep(context, tell),
  ];
}

/** Those of them that connect the two machines. */
export function tunnelSteps(context: SetupContext): readonly SetupStep[] {
  const { transport } = context.config;
  return [
    ...(transport === 'ssh' ? [] : [wireguardStep(context)]),
    ...(transport === 'wireguard' ? [] : [sshTunnelStep(context)]),
  ];
}
