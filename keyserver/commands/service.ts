import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { CommandIo } from '../../platform/command-io.ts';
import { dataCommand } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { programPlace } from '../../platform/program-place.ts';
import { type UnsealOptions, unsealMethodFrom, withUnsealOptions } from '../../platform/vault/unseal-options.ts';
import { credentialHint, serviceCredential, unsealWords } from '../../platform/vault/unseal-words.ts';
import { type ServiceFacts, type ServicePlatform, servicePlatforms, serviceText } from '../service.ts';

interface ServiceOptions extends UnsealOptions {
  readonly data: string;
  readonly platform?: ServicePlatform;
  readonly user: string;
  readonly credentialFile: string;
  readonly distribution: string;
  readonly json?: boolean;
}

/** What to do with the text, per platform. */
const install: Readonly<Record<ServicePlatform, string>> = {
  linux:
    'as root: write it to /etc/systemd/system/latchkey-keyserver.service, then systemctl daemon-reload, systemctl enable --now latchkey-keyserver',
  macos:
    'as root: write it to /Library/LaunchDaemons/latchkey.keyserver.plist, then launchctl bootstrap system /Library/LaunchDaemons/latchkey.keyserver.plist',
  windows:
    'as administrator: schtasks /create /tn Latchkey /xml FILE /ru USER /rp *, for the USER whose WSL it is; the server’s own service is printed by --platform linux; this was not tried on Windows',
};

/** `service print`: a service file for this machine, or another; nothing is installed. */
export function addServiceCommands(program: Command, io: CommandIo): void {
  const service = program.command('service').description('start at boot');
  withUnsealOptions(dataCommand(service, 'print', 'print the service file of a platform; nothing is installed'))
    .addOption(new Option('--platform <platform>', 'for which system; this one unless told').choices(servicePlatforms))
    .option('--user <account>', 'the account it runs as, which owns the data directory', 'latchkey')
    .option('--credential-file <file>', 'where systemd finds the credential', '/etc/latchkey/NAME.cred')
    .option('--distribution <name>', 'for Windows: the WSL distribution that it runs in', 'Ubuntu')
    .action((options: ServiceOptions) => print(options, io));
}

async function print(options: ServiceOptions, io: CommandIo): Promise<void> {
  const platform = options.platform ?? ownPlatform();
  if (!/^[A-Za-z_][A-Za-z0-9_.\\-]{0,63}$/.test(options.user)) {
    throw new LatchkeyError('invalid_request', '"--user" must be the name of an account', { exit: 2, field: '--user' });
  }
  await unsealMethodFrom(options, io); // refuses two ways
  const facts: ServiceFacts = {
    ...programPlace(),
    data: resolve(options.data),
    user: options.user,
    unseal: platform === 'windows' ? [] : unsealWords(options),
    credential: serviceCredential(options, options.credentialFile),
    distribution: options.distribution,
  };
  if (facts.credential !== null && platform !== 'linux') {
    throw new LatchkeyError('usage', 'credentials are systemd’s: use --keyfile or --keychain', { exit: 2 });
  }
  const text = serviceText(platform, facts);
  if (options.json === true) printJson(io.terminal, { platform, text });
  else io.terminal.stdout.write(text);
  const say = (words: string): void => void io.terminal.stderr.write(`keyserver: hint: ${words}\n`);
  say(install[platform]);
  if (facts.credential !== null) say(credentialHint(facts.credential));
}

function ownPlatform(): ServicePlatform {
  if (process.platform === 'darwin') return 'macos';
  return process.platform === 'win32' ? 'windows' : 'linux';
}
