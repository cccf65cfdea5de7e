import type { Terminal } from '../platform/command-line.ts';
import { printable } from '../platform/printable.ts';
import type { Facts, Obstacle, SnapFacts } from './facts.ts';
import { platformName } from './targets/platform.ts';

/** Lines of `name  value` under each other; a list is one line each. */
export function printFields(
  terminal: Pick<Terminal, 'stdout'>,
  fields: readonly (readonly [name: string, value: string | readonly string[]])[],
): void {
  const width = Math.max(...fields.map(([name]) => name.length));
  for (const [name, value] of fields) {
    const lines = typeof value === 'string' ? [value] : value;
    for (const [i, line] of lines.entries()) {
      terminal.stdout.write(`${(i === 0 ? name : '').padEnd(width)}  ${printable(line)}\n`);
    }
  }
}

export function printObstacles(terminal: Pick<Terminal, 'stdout'>, obstacles: readonly Obstacle[]): void {
  for (const { blocking, code, message, hint } of obstacles) {
    terminal.stdout.write(`${blocking ? 'blocks' : 'note  '}  ${message} (${code})\n        ${hint}\n`);
  }
}

/** What `detect` and `status` say of one Nextcloud, for people. */
export function factLines(facts: Facts): [string, string | readonly string[]][] {
  const { version, cli, web, encryption, caches, app, stateFolder } = facts;
  const unknown = 'unknown';
  const names = (list: readonly string[]): string => (list.length === 0 ? 'none' : list.join(', '));
  return [
    ['nextcloud', `${version.versionString} ${version.edition} (${version.channel})`.replace(/ {2,}/g, ' ')],
    ...(facts.snap === undefined ? [] : [['snap', snapWords(facts.snap)] satisfies [string, string]]),
    ['root', facts.root],
    ...whereabouts(facts),
    ['config', `${facts.configFile}, owned by ${facts.owner.user}`],
    ['instance', facts.instanceId],
    ['state', stateWords(facts)],
    ['database', facts.database],
    ['data', facts.dataDirectory],
    ['apps paths', facts.appsPaths.map(({ path, writable }) => `${path}${writable ? '' : ' (read-only)'}`)],
    ['php, occ', `${cli.version} (${cli.program})${cli.apcu ? ', apcu' : ''}`],
    [
      'php, web',
      web === null ? unknown : `${web.version ?? unknown} (${web.sapi})${web.apcu === true ? ', apcu' : ''}`,
    ],
    [
      'sessions',
      web === null
        ? unknown
        : `${web.sessionHandler ?? unknown}${web.sessionPath === null ? '' : ` in ${web.sessionPath}`}`,
    ],
    ['caches', names([caches.local, caches.distributed, caches.locking].filter((name) => name !== null))],
    [
      'encryption',
      encryption.mode === 'off' ? 'off' : `${encryption.mode} key${encryption.mode === 'user' ? 's' : ''}`,
    ],
    ['master key', encryption.masterKeyId ?? 'none'],
    ['keys on disk', names(encryption.privateKeys)],
    ['keys away', names(facts.enrolment?.keys ?? [])],
    ['app', `${app.state}${app.files?.version == null ? '' : `, ${app.files.version} in ${app.files.path}`}`],
    [
      'enrolled',
      facts.enrolment === null ? 'no' : `as ${facts.enrolment.clientId} at ${facts.enrolment.urls.join(', ')}`,
    ],
    ['state folder', `${stateFolder.path}${stateFolder.exists ? '' : ' (not there)'}`],
    ['heartbeat', Object.keys(facts.timerFiles).length === 0 ? 'not installed' : Object.keys(facts.timerFiles)],
  ];
}

function snapWords({ revision, version, tracking, notes, held, otherRevisions }: SnapFacts): string {
  const refreshes =
    held === null ? 'refreshed by itself' : held === 'snap' ? 'refreshes held' : `refreshes held: ${held}`;
  const words = [tracking ?? 'from a file', ...notes, refreshes];
  if (otherRevisions.length > 0) words.push(`kept beside it: ${otherRevisions.join(', ')}`);
  return `revision ${revision}, ${version} (${words.join('; ')})`;
}

function whereabouts({ container, platform }: Facts): [string, string][] {
  return [
    ...(container
      ? [['container', `${container.name} (${container.engine}, ${container.image})`] as [string, string]]
      : []),
    ...(platform ? [['platform', platformName(platform)] as [string, string]] : []),
  ];
}

function stateWords(facts: Facts): string {
  const words = [...(facts.maintenance ? ['maintenance mode'] : []), ...(facts.needsUpgrade ? ['needs upgrade'] : [])];
  return words.length === 0 ? 'running' : words.join(', ');
}
