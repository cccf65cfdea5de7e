import * as z from 'zod';
import { isLatchkeyError, LatchkeyError } from '../../platform/errors.ts';
import { engineFailure } from '../transports/container-transport.ts';
import type { RunResult, Transport } from '../transports/transport.ts';

/** A program of the machine that runs containers. */
export interface Engine {
  readonly kind: 'docker' | 'podman';
  /** Its whole path. */
  readonly program: string;
}

/** One mount of a container, as the engine tells it. */
export interface ContainerMount {
  readonly type: string;
  /** Of a volume; 64 hex digits for one that nobody named. */
  readonly name: string | null;
  readonly source: string;
  readonly destination: string;
  readonly writable: boolean;
}

/** One container, running or not. Its environment is not asked for: passwords stand in it. */
export interface Container {
  readonly engine: Engine;
  readonly id: string;
  readonly name: string;
  /** `running`, `paused`, `restarting`, `exited`, `created`, … */
  readonly status: string;
  readonly image: string;
  /** Entry point and arguments. */
  readonly command: readonly string[];
  readonly mounts: readonly ContainerMount[];
}

/** An engine that answers does so at once; one whose daemon hangs never does. */
const DEADLINE_MS = 20_000;
/** A folder of snapd, and others that a shell without login has not always in its PATH. */
const FIND = `for name in docker podman; do
  command -v "$name" || for folder in /usr/local/bin /usr/bin /snap/bin; do
    [ ! -x "$folder/$name" ] || { printf '%s\\n' "$folder/$name"; break; }
  done
done`;

/** Go templates, which docker and podman fill alike; the one value they name differently stands first. */
const FORMAT = [
  '{"id":{{json .ID}}',
  '"name":{{json .Name}}',
  '"status":{{json .State.Status}}',
  '"image":{{json .Config.Image}}',
  '"entrypoint":{{json .Config.Entrypoint}}',
  '"cmd":{{json .Config.Cmd}}',
  '"mounts":{{json .Mounts}}}',
].join(',');

const words = z.union([z.array(z.string()), z.string().transform((text) => (text === '' ? [] : text.split(' ')))]);
const containerSchema = z.object({
  id: z.string().regex(/^[0-9a-f]{64}$/),
  name: z.string().regex(/^\/?[A-Za-z0-9][A-Za-z0-9_.-]{0,250}$/),
  status: z.string().max(40),
  image: z.string().max(1000),
  entrypoint: words.nullable(),
  cmd: words.nullable(),
  mounts: z
    .array(
      z.object({
        Type: z.string(),
        Name: z.string().optional(),
        Source: z.string().optional(),
        Destination: z.string(),
        RW: z.boolean(),
      }),
    )
    .nullable(),
});

/** The engines of the machine, docker first. `docker` may be podman under another name: its containers come once. */
export async function findEngines(machine: Transport): Promise<Engine[]> {
  const found = await machine.run(['sh', '-c', FIND]);
  return found.stdout
    .toString('utf8')
    .split('\n')
    .filter((path) => /^\/[^\0]+\/(?:docker|podman)$/.test(path))
    .map((program) => ({ kind: program.endsWith('/podman') ? 'podman' : 'docker', program }));
}

/**
 * Every container of the machine. Throws where an engine is there and may not be asked (`container_engine_denied`) or does
 * not answer (`container_engine_silent`); one that does not run has no containers.
 */
export async function listContainers(machine: Transport, engines: readonly Engine[]): Promise<Container[]> {
  const found = new Map<string, Container>();
  for (const engine of engines) {
    const listed = await ask(machine, engine, ['ps', '-a', '-q', '--no-trunc']);
    const ids = listed.split('\n').filter((id) => /^[0-9a-f]{64}$/.test(id) && !found.has(id));
    if (ids.length === 0) continue;
    for (const container of await inspect(machine, engine, ids)) found.set(container.id, container);
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Those that are there still: one that has gone since it was listed is no error. */
async function inspect(machine: Transport, engine: Engine, ids: readonly string[]): Promise<Container[]> {
  const text = await ask(machine, engine, ['container', 'inspect', '--format', FORMAT, ...ids], true);
  return parseContainers(text, engine);
}

/** Pure: what `container inspect` printed, one object a line. */
export function parseContainers(text: string, engine: Engine): Container[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const parsed = containerSchema.safeParse(jsonOf(line));
      if (!parsed.success) {
        throw new LatchkeyError('container_answer_unknown', `${engine.kind} tells of a container in an unknown form`, {
          hint: `compare "${engine.kind} container inspect NAME"; versions from 2017 on are understood`,
        });
      }
      const { id, name, status, image, entrypoint, cmd, mounts } = parsed.data;
      return {
        engine,
        id,
        name: name.replace(/^\//, ''),
        status,
        image,
        command: [...(entrypoint ?? []), ...(cmd ?? [])],
        mounts: (mounts ?? []).map(({ Type, Name, Source, Destination, RW }) => ({
          type: Type,
          name: Name === undefined || Name === '' ? null : Name,
          source: Source ?? '',
          destination: Destination.length > 1 ? Destination.replace(/\/+$/, '') : Destination,
          writable: RW,
        })),
      };
    });
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

async function ask(machine: Transport, engine: Engine, args: readonly string[], partly = false): Promise<string> {
  let result: RunResult;
  try {
    result = await machine.run([engine.program, ...args], { timeoutMs: DEADLINE_MS });
  } catch (error) {
    if (!isLatchkeyError(error, 'command_timeout')) throw error;
    throw new LatchkeyError(
      'container_engine_silent',
      `${engine.kind} does not answer within ${DEADLINE_MS / 1000} s`,
      {
        hint: `see "systemctl status ${engine.kind}" on the server`,
      },
    );
  }
  if (result.exit === 0 || (partly && /no such container|no container with/i.test(result.stderr))) {
    return result.stdout.toString('utf8');
  }
  const failure = engineFailure(result, { program: engine.program, name: 'any' });
  if (failure.code === 'container_engine_down') return '';
  if (failure.code === 'container_engine_denied') throw failure;
  throw new LatchkeyError(
    'container_engine_failed',
    `"${engine.kind} ${args[0]}" ended with exit code ${result.exit}`,
    {
      hint: `try it by hand on the server: ${engine.kind} ps -a`,
      extra: { exit: result.exit, stderr: result.stderr.slice(-4096) },
    },
  );
}
