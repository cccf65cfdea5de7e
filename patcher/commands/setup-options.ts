import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import { declinable, parseSetup, type SetupConfig, transports } from '../setup/setup-config.ts';
import { RecordFile, type SetupRecord } from '../setup/setup-record.ts';
import type { Prompter } from '../transports/prompter.ts';
import { parseSshTarget } from '../transports/ssh-target.ts';
import type { CommandDeps, CommonOptions } from './command.ts';

/** What the command line of `setup` and `teardown` may say; all of it may be in the file instead. */
export interface SetupOptions extends CommonOptions {
  readonly config?: string;
  readonly yes?: boolean;
  readonly homeSsh?: string;
  readonly homeSudo?: boolean;
  readonly homeIdentity?: string;
  readonly transport?: SetupConfig['transport'];
  readonly dials?: 'home' | 'server';
  readonly endpoint?: string;
  readonly port?: number;
  readonly network?: string;
  readonly client?: string;
  readonly copy?: string;
  readonly copyPassphraseFile?: string;
  readonly skip?: readonly (typeof declinable)[number][];
}

export function withSetupOptions(command: Command): Command {
  return command
    .option('--config <file>', 'JSON that says what is wanted; options of this line go before it')
    .option('--yes', 'ask nothing: all that is planned is done')
    .option('--home-ssh <user@host[:port]>', 'the machine that keeps the key, when it is not this one')
    .option('--home-sudo', 'become root with sudo there')
    .option('--home-identity <file>', 'private key for ssh to it')
    .addOption(
      new Option('--transport <name>', 'what the two machines speak over; ssh where UDP is blocked').choices(
        transports,
      ),
    )
    .addOption(new Option('--dials <end>', 'who dials: the end behind NAT').choices(['home', 'server']))
    .option('--endpoint <host>', 'where the other end finds the dialled one; a name is looked up again when it moves')
    .option('--port <number>', 'UDP port of WireGuard on the dialled end', numberFrom)
    .option('--network <cidr>', 'private network for the pair; one that is free unless told')
    .option('--client <name>', 'what the key server calls this Nextcloud')
    .option('--copy <file>', "where the owner's encrypted copy of the keys goes, on this machine")
    .option('--copy-passphrase-file <file>', "the copy's passphrase; asked for otherwise")
    .addOption(
      new Option('--skip <step>', 'leave a step out; may be given again')
        .choices(declinable)
        .argParser((name: string, all: string[] = []) => {
          if (!declinable.some((one) => one === name))
            throw new InvalidArgumentError(`one of ${declinable.join(', ')}`);
          return [...all, name];
        }),
    );
}

function numberFrom(text: string): number {
  if (!/^[0-9]{1,5}$/.test(text)) throw new InvalidArgumentError('it must be a number');
  return Number(text);
}

/**
 * What is wanted: what the command line says, then the file, or without one what an earlier run was told. Throws `setup_invalid`
 * (exit 2), naming the field.
 */
export function setupFrom(options: SetupOptions, earlier: unknown = {}): SetupConfig {
  const before = earlier as Partial<SetupConfig>;
  return parseSetup(merged(options.config === undefined ? before : fileWish(options.config), options), process.cwd());
}

/** Whether somebody has said what the two machines are to speak over. */
export function saysTransport({ transport, config }: SetupOptions): boolean {
  if (transport !== undefined) return true;
  const wish = config === undefined ? null : readWish(config);
  return typeof wish === 'object' && wish !== null && 'transport' in wish;
}

function readWish(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    const field = '--config';
    throw new LatchkeyError('setup_invalid', `${path} could not be read as JSON`, { exit: 2, field, cause });
  }
}

/** Paths in the file are relative to it; the server may be left to the command line. */
function fileWish(path: string): Partial<SetupConfig> {
  const wish = readWish(path);
  if (typeof wish !== 'object' || wish === null || 'server' in wish) return parseSetup(wish, dirname(resolve(path)));
  const { server: _, ...rest } = parseSetup({ server: { local: true }, ...wish }, dirname(resolve(path)));
  return rest;
}

function merged(file: Partial<SetupConfig>, options: SetupOptions): Readonly<Record<string, unknown>> {
  const { ssh, local, sudo, identity, knownHosts, acceptHostKey, root, container, php } = options;
  const isElsewhere = ssh !== undefined || local !== undefined;
  const home = options.homeSsh === undefined ? (file.home ?? { local: true }) : { ssh: options.homeSsh };
  const { dials, endpoint } = options;
  return {
    ...over(file, { transport: options.transport, client: options.client, hook: options.hook, skip: options.skip }),
    server: over(isElsewhere ? {} : (file.server ?? {}), {
      ...{ ssh, local, sudo, identity, knownHosts, acceptHostKey, root, container, php },
    }),
    home: over(home, { sudo: options.homeSudo, identity: options.homeIdentity }),
    wireguard: over(file.wireguard, { dials, endpoint, port: options.port, network: options.network }),
    sshTunnel: over(file.sshTunnel, { dials, endpoint }),
    escrow: over(file.escrow, { copy: options.copy, passphraseFile: options.copyPassphraseFile }),
  };
}

/** The fields of the file, and over them those that the command line says. */
function over(fields: object | undefined, told: object): object {
  return { ...fields, ...Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined)) };
}

/** The record of the server that is meant, what an earlier run has left in it, and what is wanted now. */
export function openRecord(options: SetupOptions, { terminal }: CommandDeps): OpenedRecord {
  const file = new RecordFile(setupFrom(options), terminal.env);
  const earlier = file.read();
  // what was left out once may be wanted by now: whoever can be asked is
  const before =
    earlier === null ? {} : { ...(earlier.config as object), ...(options.yes === true ? {} : { skip: [] }) };
  return { file, earlier, config: setupFrom(options, before) };
}

export interface OpenedRecord {
  readonly file: RecordFile;
  readonly earlier: SetupRecord | null;
  readonly config: SetupConfig;
}

/** The one thing that nothing can be assumed for: asked for where nobody has said it, again after what is no server. */
export async function withServer<T extends SetupOptions>(options: T, { prompter, terminal }: CommandDeps): Promise<T> {
  const isTold = options.ssh !== undefined || options.local === true || options.config !== undefined;
  if (isTold || prompter === null || options.yes === true) return options;
  for (;;) {
    const ssh = (await prompter.ask('the server that Nextcloud runs on (user@host)', { secret: false }))?.trim();
    if (ssh === undefined || ssh === '') throw new LatchkeyError('cancelled', 'nothing was entered');
    try {
      parseSshTarget(ssh);
      return { ...options, ssh };
    } catch (error) {
      if (!isLatchkeyError(error, 'invalid_ssh_target')) throw error;
      terminal.stderr.write(`    ${error.message.replace('"--ssh"', 'it')}\n`);
    }
  }
}

/** True for a yes, false for a no; what is neither is asked again. Throws `cancelled` for whoever wants to stop. */
export async function isYes(prompter: Prompter, question: string): Promise<boolean> {
  for (let asked = question; ; asked = `yes or no: ${question}`) {
    const answer = (await prompter.ask(asked, { secret: false }))?.trim();
    if (answer === undefined || /^q(uit)?$/i.test(answer)) {
      throw new LatchkeyError('cancelled', 'stopped here, as was wished', { hint: 'the same command goes on with it' });
    }
    if (/^y(es)?$/i.test(answer)) return true;
    if (/^no?$/i.test(answer)) return false;
  }
}
