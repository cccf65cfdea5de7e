import { randomBytes } from 'node:crypto';
import { LatchkeyError } from '../../platform/errors.ts';
import { type Exec, ShellTransport } from './shell-transport.ts';
import type { RunResult, Transport } from './transport.ts';

/** One container, and the program that runs others in it. */
export interface ContainerDoor {
  /** `docker` or `podman` as the machine finds it, by its whole path. */
  readonly program: string;
  /** Its id and not its name: another container that takes over the name meanwhile is not worked on by mistake. */
  readonly id: string;
  readonly name: string;
}

/** What `docker exec` may say before a program begins, all of it our own words then. */
const MARK_BYTES = 16;
/** Kept for the engine's own warnings, which stand before the mark. */
const ENGINE_BYTES = 16_384;
/** A program outlives by this much the deadline after which nobody waits for it any more. */
const GRACE_SECONDS = 10;

/**
 * Inside: tells that it began, then becomes the program. A killed `docker exec` leaves its program running, so that has a
 * deadline of its own. A program that is not there is 127, whatever the engine would make of it.
 */
const INSIDE = `printf '%s\\n' "$0" >&2
limit=$1; shift
if command -v timeout >/dev/null 2>&1; then exec timeout -s KILL "$limit" "$@"; fi
exec "$@"`;

/** The words that run a program inside; `user` is a name or `uid:gid`, as the container knows them. */
export function insideWords(door: Pick<ContainerDoor, 'program'>, user: string, container: string): string[] {
  return [door.program, 'exec', '-i', '-u', user, container];
}

/**
 * Everything inside of a container as its root, through the engine of the machine below. Locks that say that a program is
 * still at work are the machine's: the engine's own program, which waits for the one inside, holds them.
 */
export class ContainerTransport extends ShellTransport {
  readonly #machine: Transport;

  constructor(machine: Transport, door: ContainerDoor) {
    super({
      label: `the container ${door.name} on ${machine.label}`,
      exec: execInside(machine, door),
      elevation: { by: 'login', marker: '' },
      user: { name: 'root', uid: 0, gid: 0 },
      becomeWith: 'exec',
      close: async () => undefined,
    });
    this.#machine = machine;
  }

  override holdWhileRunning(path: string | null): void {
    this.#machine.holdWhileRunning(path);
  }

  override waitUntilIdle(path: string, timeoutMs: number): Promise<boolean> {
    return this.#machine.waitUntilIdle(path, timeoutMs);
  }
}

function execInside(machine: Transport, door: ContainerDoor): Exec {
  return async (argv, { timeoutMs, maxBytes, as, ...rest }) => {
    const mark = randomBytes(MARK_BYTES).toString('hex');
    const limit = String(Math.ceil(timeoutMs / 1000) + GRACE_SECONDS);
    const words = [...insideWords(door, as ?? '0', door.id), 'sh', '-c', INSIDE, mark, limit, ...argv];
    const result = await machine.run(words as unknown as [string, ...string[]], {
      ...rest,
      timeoutMs,
      maxBytes: maxBytes + ENGINE_BYTES,
    });
    const began = result.stderr.indexOf(`${mark}\n`);
    if (began < 0) throw await whyNotBegun(machine, door, result);
    const stderr = result.stderr.slice(began + mark.length + 1);
    if (result.stdout.length > maxBytes || stderr.length > maxBytes) {
      throw new LatchkeyError('command_too_loud', `${argv[0]} wrote more than ${maxBytes} bytes`);
    }
    return { ...result, stderr };
  };
}

async function whyNotBegun(machine: Transport, door: ContainerDoor, result: RunResult): Promise<LatchkeyError> {
  const failure = engineFailure(result, door);
  if (failure.code !== 'container_gone') return failure;
  const now = await machine.run([door.program, 'container', 'inspect', '--format', '{{.ID}}', door.name]);
  if (now.exit !== 0) return failure;
  return new LatchkeyError('container_replaced', `the container ${door.name} was replaced by another while at work`, {
    hint: 'run the same again: what was left half done is settled first, in the new one',
  });
}

/** Pure: what `docker` or `podman` complained about, as an error of ours; their text is kept for the log only. */
export function engineFailure(
  result: Pick<RunResult, 'exit' | 'stderr'>,
  door: Pick<ContainerDoor, 'program' | 'name'>,
): LatchkeyError {
  const said = result.stderr;
  const engine = door.program.slice(door.program.lastIndexOf('/') + 1);
  const { name } = door;
  const of = (code: string, message: string, hint: string): LatchkeyError =>
    new LatchkeyError(code, message, { hint, extra: { exit: result.exit, stderr: said.slice(-4096) } });
  if (/permission denied/i.test(said) && /sock|daemon|connect/i.test(said)) {
    return of('container_engine_denied', `this account may not use ${engine}`, 'log in as root, or use --sudo');
  }
  if (/cannot connect to the docker daemon|is the docker daemon running|unable to connect to podman/i.test(said)) {
    return of(
      'container_engine_down',
      `${engine} is installed but does not run`,
      `start it: systemctl start ${engine}`,
    );
  }
  if (/no such container|no container with (?:name|id)/i.test(said)) {
    return of('container_gone', `there is no container ${name}`, `see "${engine} ps -a", and name it with --container`);
  }
  if (/is paused|container state .*paused|container is paused/i.test(said)) {
    return of('container_paused', `the container ${name} is paused`, `${engine} unpause ${name}`);
  }
  if (/is restarting/i.test(said)) {
    const hint = `see why with "${engine} logs ${name}"; an entry point that is still upgrading needs time`;
    return of('container_restarting', `the container ${name} keeps restarting`, hint);
  }
  if (/is not running|not running|container state improper|running containers/i.test(said)) {
    return of('container_not_running', `the container ${name} does not run`, `${engine} start ${name}`);
  }
  if (/executable file not found|no such file or directory|unable to find user|no matching entries/i.test(said)) {
    const hint = 'only images with a shell, coreutils or busybox, and a user 0 can be worked on';
    return of('container_unfit', `nothing can be run in the container ${name}`, hint);
  }
  const hint = `try it by hand: ${engine} exec ${name} true`;
  return of('container_engine_failed', `${engine} could not run a program in the container ${name}`, hint);
}
