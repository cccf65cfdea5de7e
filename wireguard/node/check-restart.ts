import { existsSync } from 'node:fs';
import { LatchkeyError } from '../../platform/errors.ts';
import { type RunResult, run } from '../../platform/run.ts';

type Argv = readonly [string, ...string[]];

/** What starts an interface on this machine. */
export type Starter = 'systemd' | 'openrc' | 'launchd' | 'wg-quick' | 'awg-quick';

/** One command of a restart. */
export interface RestartStep {
  readonly argv: Argv;
  /** What is half gone is not always taken down without a complaint. */
  readonly mayFail: boolean;
}

export interface RestartFacts {
  readonly starter: Starter;
  /** What of systemd, OpenRC or launchd it is. */
  readonly unit: string;
  /** Something bears the interface's name. */
  readonly isThere: boolean;
}

/** Longer than wg-quick looks for the name of a hub in vain. */
const TIMEOUT_MS = 60_000;
const QUESTION_MS = 10_000;
const CONFIGURED: readonly (readonly ['wg-quick' | 'awg-quick', path: string])[] = [
  ['wg-quick', '/etc/wireguard'],
  ['wg-quick', '/usr/local/etc/wireguard'],
  ['wg-quick', '/opt/homebrew/etc/wireguard'],
  ['awg-quick', '/etc/amnezia/amneziawg'],
];

/** Pure: what restarts an interface that is down. */
export function restartSteps(name: string, { starter, unit, isThere }: RestartFacts): readonly RestartStep[] {
  const must = (...argv: Argv): RestartStep => ({ argv, mayFail: false });
  if (starter === 'systemd') return [must('systemctl', 'restart', unit)];
  if (starter === 'openrc') {
    // "restart" ends where "stop" fails, and wg-quick has nothing to take down of an interface that is gone
    const tried = (verb: string): RestartStep => ({ argv: ['rc-service', unit, verb], mayFail: true });
    return [...(isThere ? [tried('stop')] : []), tried('zap'), must('rc-service', unit, 'start')];
  }
  if (starter === 'launchd') return [must('launchctl', 'kickstart', '-k', `system/${unit}`)];
  const down: RestartStep = { argv: [starter, 'down', name], mayFail: true };
  return [...(isThere ? [down] : []), must(starter, 'up', name)];
}

/** What of the machine is looked at; tests hand in their own. */
export interface RestartView {
  isFile(path: string): boolean;
  run(argv: Argv, timeoutMs: number): Promise<Pick<RunResult, 'exit' | 'stdout'>>;
}

/** Restarts an interface by what started it, and says each command. Throws `restart_unknown`, and what a command fails with. */
export async function restartInterface(
  name: string,
  say: (line: string) => void,
  view: RestartView = thisMachine,
): Promise<void> {
  for (const { argv, mayFail } of restartSteps(name, await restartFacts(name, view))) {
    say(`[#] ${argv.join(' ')}`);
    const { exit } = await view.run(argv, TIMEOUT_MS);
    if (exit === 0 || mayFail) continue;
    throw new LatchkeyError('restart_failed', `${argv[0]} ended with exit code ${exit}`, {
      hint: `run it by hand to see why: ${argv.join(' ')}`,
    });
  }
}

/** Decided by what would start it at boot, or has: a unit of systemd, a service of OpenRC, a job of launchd, else its file. */
async function restartFacts(name: string, view: RestartView): Promise<RestartFacts> {
  const isThere = view.isFile(`/sys/class/net/${name}`) || view.isFile(`/var/run/wireguard/${name}.name`);
  const label = `com.latchkey.spoke.${name}`;
  if (view.isFile(`/Library/LaunchDaemons/${label}.plist`)) return { starter: 'launchd', unit: label, isThere };
  const configured = CONFIGURED.find(([, folder]) => view.isFile(`${folder}/${name}.conf`));
  const tool = configured?.[0] ?? 'wg-quick';
  const unit = `${tool}@${name}.service`;
  if (view.isFile('/run/systemd/system') && (await isUsed(unit, view))) return { starter: 'systemd', unit, isThere };
  const service = `${tool}.${name}`;
  if (view.isFile('/run/openrc') && view.isFile(`/etc/init.d/${service}`)) {
    return { starter: 'openrc', unit: service, isThere };
  }
  if (configured !== undefined) return { starter: tool, unit: '', isThere };
  throw new LatchkeyError('restart_unknown', `nothing here is known to start ${name}`, {
    hint: `its file is looked for as /etc/wireguard/${name}.conf; --no-restart leaves it to others`,
  });
}

/** Whether systemd starts it at boot, or has started it. */
async function isUsed(unit: string, view: RestartView): Promise<boolean> {
  const words = ['show', '--property=UnitFileState', '--property=ActiveState', unit];
  const { stdout } = await view.run(['systemctl', ...words], QUESTION_MS);
  const said = stdout.toString('latin1');
  return /^UnitFileState=(enabled|enabled-runtime|linked)$/m.test(said) || /^ActiveState=(?!inactive$)/m.test(said);
}

const thisMachine: RestartView = {
  isFile: existsSync,
  run: (argv, timeoutMs) => run(argv, { timeoutMs, allowExit: 'any' }),
};
