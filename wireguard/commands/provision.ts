import type { Command } from 'commander';
import type { CommandIo } from '../../platform/command-io.ts';
import { askLine, printJson } from '../../platform/command-line.ts';
import { parseInteger } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { decide, type Listener, ready } from '../provision/carry-out.ts';
import { HERE, overSsh, type ShellArgv } from '../provision/place.ts';
import { FORWARDING, type ProvisionValues, provisionText } from '../provision/script.ts';
import {
  type HubRuleOptions,
  hubRules,
  type SpokeRuleOptions,
  spokeRules,
  withHubRules,
  withSpokeRules,
} from './firewall.ts';
import { hubOfFile, spokeTunnel, type TunnelFileOptions, withTunnelFile } from './provision-tunnel.ts';

interface PlaceOptions {
  readonly run?: boolean;
  readonly ssh?: string;
  readonly sshConfig?: string;
  readonly json?: boolean;
}

interface ReadyOptions extends PlaceOptions, TunnelFileOptions {
  readonly confirmWithin: string;
}

/** `provision hub|spoke|confirm|roll-back`: the script that readies a machine, printed or run. */
export function addProvisionCommands(program: Command, io: CommandIo): void {
  const provision = program
    .command('provision')
    .description('ready a machine: packages, forwarding, tunnel, services, firewall');
  const hub = provision.command('hub').description('print the script that readies the machine of a hub, or run it');
  withReady(withHubRules(hub))
    .option('--data <dir>', 'data directory of the hub, which has its interfaces')
    .option('--interface <name>', 'name of the interface there, with --interface-file', 'wg0')
    .option('--json', 'print JSON for programs')
    .action(async (options: HubOptions) => carryOut(await hubValues(options, io), options, io));
  const spoke = provision.command('spoke').description('print the script that readies a spoke, or run it');
  withReady(withSpokeRules(spoke))
    .option('--json', 'print JSON for programs')
    .action((options: ReadyOptions & SpokeRuleOptions) => {
      const services = [unitOf(options), 'latchkey-node-look.service', 'latchkey-node.service'];
      const tunnel = spokeTunnel(options);
      return carryOut({ role: 'spoke', ruleset: spokeRules(options), sysctls: [], services, tunnel }, options, io);
    });
  withPlace(provision.command('confirm').description('keep the rules that wait here, or there, also after a restart'))
    .option('--json', 'print JSON for programs')
    .action((options: PlaceOptions) => settle('confirm', options, io));
  withPlace(provision.command('roll-back').description('put back now what was before the rules that wait'))
    .option('--json', 'print JSON for programs')
    .action((options: PlaceOptions) => settle('abandon', options, io));
}

type HubOptions = ReadyOptions & Omit<HubRuleOptions, 'data'> & { readonly data?: string };

/** A hub with a server keeps its interfaces itself; one without has a file for wg-quick. */
async function hubValues(options: HubOptions, io: CommandIo): Promise<Values> {
  const { data, interfaceFile } = options;
  if (data !== undefined && interfaceFile === undefined) {
    const ruleset = await hubRules({ ...options, data }, io);
    return { role: 'hub', ruleset, sysctls: FORWARDING, services: ['latchkey-hub.service'], tunnel: null };
  }
  if (data === undefined && interfaceFile !== undefined) {
    return { role: 'hub', ...hubOfFile(options, interfaceFile), sysctls: FORWARDING, services: [unitOf(options)] };
  }
  throw new LatchkeyError('usage', 'either "--data" or "--interface-file" must say what the interfaces are', {
    exit: 2,
    hint: 'wghub keeps the interfaces of its data directory itself; a file is for a hub without it',
  });
}

function unitOf(options: TunnelFileOptions): string {
  return `wg-quick@${options.interface}.service`;
}

function withPlace(command: Command): Command {
  return command
    .option('--ssh <user@host>', 'on that machine, by the ssh of this one')
    .option('--ssh-config <file>', 'configuration for ssh, instead of yours');
}

function withReady(command: Command): Command {
  return withPlace(withTunnelFile(command))
    .option('--run', 'run it on this machine, as root')
    .option('--confirm-within <seconds>', 'how long rules wait before what was before comes back', '60');
}

/** A confirmed tunnel is started by its unit, which may take 90 seconds. */
const TUNNEL_SECONDS = 120;

type Values = Omit<ProvisionValues, 'waitSeconds'>;

async function carryOut(values: Values, options: ReadyOptions, io: CommandIo): Promise<void> {
  const waitSeconds = parseInteger(options.confirmWithin, '--confirm-within', { min: 5, max: 600 });
  const script = provisionText({ ...values, waitSeconds });
  const place = placeOf(options);
  if (place === null) {
    if (options.json === true) printJson(io.terminal, { script });
    else io.terminal.stdout.write(script);
    if (values.tunnel !== null) {
      io.terminal.stderr.write(
        'wghub: hint: the script has the private key of that file in it: keep it as you keep that\n',
      );
    }
    return;
  }
  const listener = listenerOf(options, io);
  const readied = await ready(place, script, listener);
  if (readied === 'unchanged') return tell('unchanged', options, io);
  if (place === HERE && io.terminal.stdin.isTTY !== true) {
    io.terminal.stderr.write('wghub: hint: from a new connection: wghub provision confirm\n');
    return tell('waiting', options, io);
  }
  if (place === HERE && !(await isAllowed(io))) {
    await decide(place, 'abandon', listener);
    throw new LatchkeyError('provision_unconfirmed', 'that was no yes: what was before is back');
  }
  // over ssh this is a new connection, and so the proof that one gets in
  await decide(place, 'confirm', listener, (waitSeconds + 5 + (values.tunnel === null ? 0 : TUNNEL_SECONDS)) * 1000);
  tell('confirmed', options, io);
}

async function settle(word: 'confirm' | 'abandon', options: PlaceOptions, io: CommandIo): Promise<void> {
  await decide(placeOf(options) ?? HERE, word, listenerOf(options, io));
  tell(word === 'confirm' ? 'confirmed' : 'rolled back', options, io);
}

async function isAllowed({ terminal }: CommandIo): Promise<boolean> {
  const question = 'log in from elsewhere; when that works, type yes';
  const answer = await askLine(terminal, question, 'wghub provision confirm does it too').catch(() => ''); // Ctrl-C is no yes
  return answer === 'yes';
}

/** `null` is on paper only. */
function placeOf({ run, ssh, sshConfig }: PlaceOptions): ShellArgv | null {
  if (run === true && ssh !== undefined) {
    throw new LatchkeyError('usage', '"--run" is here and "--ssh" is elsewhere', { exit: 2, hint: 'give one of them' });
  }
  if (ssh === undefined && sshConfig !== undefined) {
    throw new LatchkeyError('usage', '"--ssh-config" needs "--ssh"', { exit: 2, hint: 'see --help' });
  }
  return ssh === undefined ? (run === true ? HERE : null) : overSsh(ssh, sshConfig);
}

/** With `--json` stdout is one document. */
function listenerOf({ json }: PlaceOptions, { terminal }: CommandIo): Listener {
  const said = json === true ? terminal.stderr : terminal.stdout;
  return {
    onStdout: (chunk) => void said.write(chunk),
    onStderr: (chunk) => void terminal.stderr.write(chunk),
  };
}

function tell(state: string, { json }: PlaceOptions, { terminal }: CommandIo): void {
  if (json === true) printJson(terminal, { state });
}
