import { type Command, InvalidArgumentError, Option } from 'commander';
import type { RandomBytes } from '../../platform/clock.ts';
import { printJson, type Terminal } from '../../platform/command-line.ts';
import { parseInteger } from '../../platform/encoding.ts';
import { networkFiles } from '../generate/network-files.ts';
import { writeNetwork } from '../generate/write-network.ts';
import { generateKeyPair, generatePresharedKey } from '../keys.ts';
import { drawObfuscation, LEVELS, type Level } from '../obfuscation/levels.ts';

export interface GenerateIo {
  readonly terminal: Terminal;
  readonly random: RandomBytes;
}

interface GenerateOptions {
  readonly hub: string;
  readonly spokes: readonly string[];
  readonly network: string;
  readonly network6?: string;
  readonly interface: string;
  readonly keepalive: string;
  readonly presharedKeys: boolean;
  readonly level: Level;
  readonly out: string;
  readonly json?: boolean;
}

/** `generate`: the files of a hub and its spokes, for wg-quick or awg-quick; no server is needed. */
export function addGenerateCommand(program: Command, io: GenerateIo): void {
  program
    .command('generate')
    .description('write the configurations of a hub and its spokes, for wg-quick; needs no server')
    .requiredOption('--hub <host:port>', 'where spokes reach the hub')
    .requiredOption('--spokes <names>', 'names of the spokes, with commas between', names)
    .option('--network <cidr>', 'network of the tunnel', '10.88.0.0/24')
    .option('--network6 <cidr>', 'a network of IPv6 beside it')
    .option('--interface <name>', 'name of the interface', 'wg0')
    .option('--keepalive <seconds>', 'how often spokes keep their way through a NAT open, 0 for never', '25')
    .option('--no-preshared-keys', 'leave the preshared keys out')
    .addOption(
      new Option('--level <level>', 'obfuscation by AmneziaWG; off is plain WireGuard').choices(LEVELS).default('off'),
    )
    .requiredOption('--out <folder>', 'where the files go; a new folder')
    .option('--json', 'print JSON for programs')
    .action((options: GenerateOptions) => generate(options, io));
}

function names(text: string): string[] {
  const list = text.split(',').map((name) => name.trim());
  if (list.includes('')) throw new InvalidArgumentError('"--spokes" must be names with commas between');
  return list;
}

function generate(options: GenerateOptions, { terminal, random }: GenerateIo): void {
  const files = networkFiles(
    {
      hub: options.hub,
      spokes: options.spokes,
      networks: [options.network, ...(options.network6 === undefined ? [] : [options.network6])],
      interface: options.interface,
      keepalive: parseInteger(options.keepalive, '--keepalive', { min: 0, max: 65_535 }),
      preshared: options.presharedKeys,
      obfuscation: drawObfuscation(options.level, random),
    },
    generateKeyPair,
    () => generatePresharedKey(random),
  );
  writeNetwork(options.out, files);
  const paths = files.map(({ path }) => path);
  if (options.json === true) {
    printJson(terminal, { folder: options.out, files: paths });
    return;
  }
  terminal.stdout.write(
    `wrote ${paths.length} files to ${options.out}\n${paths.map((path) => `  ${path}\n`).join('')}`,
  );
  const [folder, quick] =
    options.level === 'off' ? ['/etc/wireguard', 'wg-quick'] : ['/etc/amnezia/amneziawg', 'awg-quick'];
  terminal.stderr.write(
    `wghub: hint: copy each to ${folder}/${options.interface}.conf of its machine, then: ${quick} up ${options.interface}\n`,
  );
}
