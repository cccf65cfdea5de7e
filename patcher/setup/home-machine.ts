import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LatchkeyError } from '../../platform/errors.ts';
import { MAIN_FILE, programPlace } from '../../platform/program-place.ts';
import type { Transport } from '../transports/transport.ts';
import { connect, type Surroundings } from '../workplace.ts';
import type { MachineChoice } from './setup-config.ts';

export type HomePlatform = 'linux' | 'macos';

/** The machine that keeps the key, and how Latchkey's programs are started on it. */
export interface HomeMachine {
  readonly transport: Transport;
  readonly platform: HomePlatform;
  /** What starts a key server there, before its arguments: `/usr/local/bin/keyserver`, or Node and a file of this clone. */
  readonly keyserver: readonly [string, ...string[]];
}

/** Where a release puts it; see `packaging/`. */
const INSTALLED = ['/usr/local/bin/keyserver', '/opt/latchkey/current/bin/keyserver'];
const FIND = 'for place; do if [ -x "$place" ]; then printf "%s\\n" "$place"; exit 0; fi; done; exit 1';

/** Connects, as root; on this machine by sudo where need be. Throws `not_root`, `home_unknown_system`, `latchkey_missing` (exit 3), or what the connection throws. */
export async function openHome(choice: MachineChoice, around: Surroundings): Promise<HomeMachine> {
  const { ssh, local, identity, knownHosts, acceptHostKey } = choice;
  // whoever runs this has keys for the server that root has not
  const sudo = choice.sudo || (local === true && process.getuid?.() !== 0);
  const options = { ssh, local, sudo, identity, knownHosts, acceptHostKey };
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const transport = await connect(given, around);
  try {
    if (transport.user.uid !== 0) {
      throw new LatchkeyError('not_root', `${transport.label}, which is to keep the key, is not acted on as root`, {
        exit: 3,
        field: 'home.sudo',
        hint: 'log in as root, or with --home-sudo for an account with sudo',
      });
    }
    return {
      transport,
      platform: await platformOf(transport),
      keyserver: await keyserverOn(transport, local === true),
    };
  } catch (error) {
    await transport.close();
    throw error;
  }
}

async function platformOf(transport: Transport): Promise<HomePlatform> {
  const { stdout } = await transport.run(['uname', '-s']);
  const system = stdout.toString('utf8').trim();
  if (system === 'Linux') return 'linux';
  if (system === 'Darwin') return 'macos';
  throw new LatchkeyError(
    'home_unknown_system',
    `the machine that is to keep the key runs ${system || 'no known system'}`,
    {
      exit: 3,
      hint: 'Linux and macOS are set up from here; what to do on others is in the README of the key server',
    },
  );
}

async function keyserverOn(transport: Transport, isHere: boolean): Promise<readonly [string, ...string[]]> {
  if (isHere) {
    const { root, node } = programPlace();
    const installed = join(root, 'bin', 'keyserver');
    return existsSync(installed) ? [installed] : [node, ...NODE_OPTIONS, join(root, 'keyserver', MAIN_FILE)];
  }
  const { exit, stdout } = await transport.run(['sh', '-c', FIND, 'sh', ...INSTALLED]);
  const place = stdout.toString('utf8').trim();
  if (exit === 0 && place !== '') return [place];
  throw new LatchkeyError(
    'latchkey_missing',
    `Latchkey is not installed on ${transport.label}, which is to keep the key`,
    {
      exit: 3,
      hint: 'npm run package makes a release: copy what it writes over there, and run: sudo sh install.sh latchkey-*.tar.gz',
    },
  );
}

/** As the launcher of a clone starts it. */
const NODE_OPTIONS = ['--disable-warning=ExperimentalWarning'];
