import { LatchkeyError } from '../../platform/errors.ts';
import type { Occ } from '../actions/action.ts';
import type { Transport } from '../transports/transport.ts';
import { factsOf } from './nextcloud-facts.ts';
import { withoutWaiting } from './snap-list.ts';
import { readSnapPhp } from './snap-php.ts';
import { SNAP, SNAP_COMMON, SNAP_CONFIG_DIRECTORY } from './snap-places.ts';
import {
  listRevisions,
  markOf,
  mountedAt,
  readSnapFacts,
  refuseNewRevision,
  snapCommand,
  usableRevision,
} from './snap-state.ts';
import type { Instance, OpenOptions, RunPhp, Sighting, Target } from './target.ts';
import { parseVersionFile } from './version-file.ts';

const CONFIG_FILE = `${SNAP_CONFIG_DIRECTORY}/config.php`;

/**
 * The snap of Nextcloud: code in a read-only squashfs, everything as root. Paths go by `current`, as the snap's own do, so
 * that what is written down still holds after a refresh.
 */
export const snap: Target = {
  name: 'snap',
  find: findSnap,
  open: openSnap,
  facts: async (instance) => {
    // first what snapd says: with its services stopped occ would wait for ever
    const state = await readSnapFacts(instance.machine);
    return { ...(await factsOf(instance)), snap: state };
  },
};

async function findSnap(transport: Transport, root?: string): Promise<Sighting[]> {
  const revisions = await listRevisions(transport);
  const [first] = revisions;
  if (first === undefined) return [];
  const mount = await mountedAt(transport);
  const active = revisions.find(({ notes }) => !notes.includes('disabled')) ?? first;
  if (mount === null)
    return root === undefined ? [{ ...sightingAt(`/snap/${SNAP}`), versionString: active.version }] : [];
  const sighting = sightingAt(mount);
  if (root !== undefined && (await transport.realPath(root)) !== (await transport.realPath(sighting.root))) return [];
  const version = await transport.readFile(`${sighting.root}/version.php`, { max: 65_536 });
  const there = (await transport.realPath(CONFIG_FILE)) !== null;
  return [
    {
      root: sighting.root,
      versionString: version === null ? active.version : parseVersionFile(version.toString('utf8')).versionString,
      configFile: there ? CONFIG_FILE : null,
    },
  ];
}

function sightingAt(mount: string): { root: string; configFile: null } {
  return { root: `${mount}/current/htdocs`, configFile: null };
}

async function openSnap(transport: Transport, sighting: Sighting, options: OpenOptions): Promise<Instance> {
  if (options.php !== undefined) {
    throw new LatchkeyError('usage', '"--php" does not apply to a snap, which brings its own', { exit: 2 });
  }
  if (transport.user.uid !== 0) {
    throw new LatchkeyError('not_root', 'the snap answers root alone', {
      exit: 3,
      hint: 'connect as root, or add --sudo for an account with sudo',
    });
  }
  const services = await snapCommand(transport, ['services', SNAP]);
  usableRevision(await listRevisions(transport), services.stdout.toString('utf8'));
  const { root } = sighting;
  const mount = root.slice(0, -'/current/htdocs'.length);
  const owner = sighting.configFile === null ? null : await ownerOfConfig(transport);
  if (owner === null) {
    throw new LatchkeyError('not_installed', 'the snap was never set up: its Nextcloud has no account yet', {
      hint: 'snap run nextcloud.manual-install USER PASSWORD, or open its page in a browser',
    });
  }
  const before = await markOf(transport, mount);
  const runPhp = phpOf(transport);
  return {
    target: 'snap',
    root,
    configFile: CONFIG_FILE,
    movedConfigDirectory: SNAP_CONFIG_DIRECTORY,
    owner,
    php: `snap run --shell ${SNAP}.occ`,
    web: await readSnapPhp(transport, mount, runPhp),
    files: transport,
    machine: transport,
    occ: occOfSnap(transport),
    runPhp,
    // Not below `current`: snapd copies that for each revision and "snap revert" takes the old copy back. The state of the
    // link with the key server must never go back; to the key server that is a second host with the same credentials.
    defaultStateFolder: (instanceId) => `${SNAP_COMMON}/latchkey/${instanceId}`,
    heartbeat: { via: 'machine', user: 'root' },
    occCommand: ['snap', 'run', `${SNAP}.occ`, '--no-warnings', '--no-interaction'],
    filesCommand: [],
    steady: async () => refuseNewRevision(before, await markOf(transport, mount)),
  };
}

/** Of config.php, once Nextcloud was installed; the snap writes the file before that. */
async function ownerOfConfig(transport: Transport): Promise<Instance['owner'] | null> {
  const pattern = "^[[:space:]]*'installed'[[:space:]]*=>[[:space:]]*true,";
  const installed = await transport.run(['grep', '-qE', '-e', pattern, '--', CONFIG_FILE]);
  const real = await transport.realPath(CONFIG_FILE);
  const state = real === null ? null : await transport.stat(real);
  if (installed.exit !== 0 || state === null) return null;
  return { user: state.owner, group: state.group, uid: state.uid, gid: state.gid };
}

/**
 * The snap's own occ, which no settings of PHP can be given to: its php.ini hides arguments of exceptions and sends
 * warnings to a log, and those releases of it that cache in APCu do without on the command line. Variables do come through.
 */
function occOfSnap(transport: Transport): Occ {
  return async (args, options = {}) => {
    const variables = args[0].startsWith('remotekey:') ? ['NC_maintenance=0'] : [];
    const result = await transport.run(
      [
        // occ complains on stdout of a folder that the snap cannot see
        ...(['env', '-C', '/', ...variables, 'snap', 'run', `${SNAP}.occ`, '--no-warnings'] as const),
        ...(options.input === undefined ? ['--no-interaction'] : []),
        ...args,
      ],
      {
        timeoutMs: options.timeoutMs ?? 120_000,
        ...(options.input === undefined ? {} : { input: options.input }),
      },
    );
    return { ...result, stdout: withoutWaiting(result.stdout) };
  };
}

const RUN_PHP = 'PATH="$SNAP/bin:$SNAP/usr/bin:$PATH"; export PATH; exec "$SNAP/bin/run-php" "$@"';

/** The snap's PHP in the snap's confinement, where it sees what Nextcloud sees; the words after `-c` are the shell's. */
function phpOf(transport: Transport): RunPhp {
  return (args, given) =>
    transport.run(['snap', 'run', '--shell', `${SNAP}.occ`, '-c', RUN_PHP, 'sh', ...args], { ...given });
}
