import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type CommandIo, dataCommand } from '../../platform/command-io.ts';
import { printJson } from '../../platform/command-line.ts';
import { programPlace } from '../../platform/program-place.ts';
import { type UnsealOptions, unsealMethodFrom, withUnsealOptions } from '../../platform/vault/unseal-options.ts';
import { credentialHint, serviceCredential, unsealWords } from '../../platform/vault/unseal-words.ts';
import { readConfig } from '../data/hub-config.ts';
import { hubUnit } from '../hub/hub-unit.ts';

interface ServiceOptions extends UnsealOptions {
  readonly data: string;
  readonly credentialFile: string;
  readonly json?: boolean;
}

const place = '/etc/systemd/system/latchkey-hub.service';

/** `service print`: the systemd unit of a hub; nothing is installed. */
export function addServiceCommands(program: Command, io: CommandIo): void {
  const service = program.command('service').description('start at boot');
  withUnsealOptions(dataCommand(service, 'print', 'print the systemd unit of this hub; nothing is installed'))
    .option('--credential-file <file>', 'where systemd finds the credential', '/etc/latchkey/NAME.cred')
    .action((options: ServiceOptions) => print(options, io));
}

async function print(options: ServiceOptions, io: CommandIo): Promise<void> {
  await unsealMethodFrom(options, io); // refuses two ways
  const data = resolve(options.data);
  const { exportFolder, listen, tls } = readConfig(data);
  const reads = tls?.source === 'files' ? [tls.certificate, tls.key] : [];
  const credential = serviceCredential(options, options.credentialFile);
  const places = { ...programPlace(), data, exportFolder, port: listen.port, reads };
  const text = hubUnit({ ...places, unseal: unsealWords(options), credential });
  if (options.json === true) printJson(io.terminal, { path: place, text });
  else io.terminal.stdout.write(text);
  const say = (words: string): void => void io.terminal.stderr.write(`wghub: hint: ${words}\n`);
  say(`as root: write it to ${place}, then systemctl daemon-reload, systemctl enable --now latchkey-hub`);
  if (credential !== null) say(credentialHint(credential));
}
