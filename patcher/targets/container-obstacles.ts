import { APP_ID, type ContainerFacts, type Facts, type Obstacle, STATE_PARENT } from '../facts.ts';
import { lastingOf, mountAt } from './container-places.ts';

/** Pure: what stands in the way of a Nextcloud in a container, whose files last only where a mount is. */
export function containerObstacles(facts: Facts): Obstacle[] {
  const { container } = facts;
  if (container === undefined || container === null) return [];
  return [
    ...state(facts, container),
    ...app(facts, container),
    ...companions(container),
    ...upgrades(facts, container),
  ];
}

/** For `exception_args_logged`: what the images without a php.ini need. */
export function exceptionArgsHint({ container }: Facts): string {
  if (container?.kind === 'aio')
    return 'AIO has no lasting place for it; the app keeps the arguments of key functions out';
  const file = '/usr/local/etc/php/conf.d/zz-latchkey.ini';
  return container === undefined || container === null
    ? 'set zend.exception_ignore_args = On in its php.ini'
    : `mount a file with zend.exception_ignore_args = On at ${file}, and start a new container`;
}

function state({ stateFolder }: Facts, { mounts, engine, name }: ContainerFacts): Obstacle[] {
  const { path } = stateFolder;
  const lasting = lastingOf(path, mounts);
  if (lasting === 'lost' || lasting === 'memory') {
    return [
      {
        code: 'state_would_vanish',
        message: `the enrolment in ${path} would be lost with the container ${name}, at the latest with its next upgrade`,
        hint: `start the container with one more volume: -v latchkey:${STATE_PARENT}, in compose: volumes: [latchkey:${STATE_PARENT}]`,
        blocking: true,
      },
    ];
  }
  if (mountAt(path, mounts)?.writable === false) {
    return [
      {
        code: 'state_read_only',
        message: `${path} is mounted read-only in the container ${name}`,
        hint: `mount a volume of its own: -v latchkey:${STATE_PARENT}`,
        blocking: true,
      },
    ];
  }
  if (lasting === 'kept') return [];
  return [
    {
      code: 'state_in_unnamed_volume',
      message: `${path} is in a volume without a name, which the next "${engine} run" does not find again`,
      hint: `name it: -v latchkey:${STATE_PARENT}`,
      blocking: false,
    },
  ];
}

/** Without its app, stock Nextcloud empties an encrypted file that somebody overwrites: it may not come back without. */
function app({ appsPaths, root, app: { files } }: Facts, { mounts, name }: ContainerFacts): Obstacle[] {
  const writable = appsPaths.filter((path) => path.writable);
  const chosen = writable.find(({ path }) => path !== `${root}/apps`) ?? writable[0];
  const path = files?.path ?? (chosen === undefined ? `${root}/custom_apps/${APP_ID}` : `${chosen.path}/${APP_ID}`);
  const lasting = lastingOf(path, mounts);
  if (lasting !== 'lost' && lasting !== 'memory') return [];
  const folder = path.slice(0, path.lastIndexOf('/'));
  return [
    {
      code: 'app_would_vanish',
      message: `${folder} is part of the container ${name}, and the app in it would be lost with its next upgrade`,
      hint: `mount a volume there: -v nextcloud_apps:${folder}, or one at ${root}`,
      blocking: true,
    },
  ];
}

function companions({ companions, mounts }: ContainerFacts): Obstacle[] {
  return companions
    .filter(({ seesState }) => !seesState)
    .map(({ name }) => {
      const volume = mountAt(STATE_PARENT, mounts)?.name ?? 'latchkey';
      return {
        code: 'companion_without_state',
        message: `the container ${name} runs the same Nextcloud without the enrolment: there no key can be fetched`,
        hint: `give it the same volume: -v ${volume}:${STATE_PARENT}`,
        blocking: false,
      };
    });
}

function upgrades({ web }: Facts, { kind, name, entryHooks }: ContainerFacts): Obstacle[] {
  const found: Obstacle[] = [];
  if (kind === 'aio') {
    found.push({
      code: 'aio_disables_apps',
      message: 'AIO switches off every app it did not bring along before each of its updates',
      hint: 'run "ncpatch apply" after each update, or have "ncpatch watch" on the machine do it',
      blocking: false,
    });
  }
  const shut = entryHooks.filter(({ writable, content, wanted }) => !writable && content !== wanted);
  for (const { path } of shut) {
    found.push({
      code: 'entry_hook_read_only',
      message: `${path} cannot be written: its folder is mounted read-only in the container ${name}`,
      hint: 'mount it writable, or put the script there yourself: "ncpatch apply" does without it',
      blocking: false,
    });
  }
  const seconds = web?.opcacheSeconds ?? 0;
  if (seconds > 10) {
    found.push({
      code: 'opcache_slow',
      message: `PHP looks at changed files every ${seconds} s only, so web workers may run old code for that long`,
      hint: `nothing is wrong with that; restart the container ${name} to have it at once`,
      blocking: false,
    });
  }
  return found;
}
