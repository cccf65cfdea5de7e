import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import { writeFileAtomic } from '../../platform/files.ts';
import { parseInput } from '../../platform/schema.ts';

const schema = z.strictObject({
  version: z.literal(1),
  clientId: z.string().min(1).max(128),
  instanceId: z.string().regex(/^[a-z0-9]{6,64}$/),
  before: z.string().min(1).max(128).optional(),
});

/** Who a Nextcloud is, as the machine that set it up has come to know it. */
export interface Known {
  /** The client that was invited for it at home. */
  readonly clientId: string;
  /** Its id, as it told it then. */
  readonly instanceId: string;
  /** Which client it was until then, as long as it is not sure that it is the new one. */
  readonly before?: string | undefined;
}

/** Pure: whether that is its client, or may still be. */
export function isOf({ clientId, before }: Known, id: string): boolean {
  return clientId === id || before === id;
}

/** One of another server that was set up from this machine. */
export interface KnownOther extends Known {
  /** The folder of its record. */
  readonly folder: string;
}

/** What steps know of who is who, whatever the server says of itself. */
export interface ClientMemory {
  /** The client that was invited for this Nextcloud; `null` when none was from here. */
  readonly clientId: string | null;
  /** Which it may still be, where a run was cut off before its enrolment had ended. */
  readonly before: string | null;
  /** Which Nextcloud it is, whatever it says by now. */
  readonly instanceId: string;
  readonly others: readonly KnownOther[];
  /** Where it is written. */
  readonly file: string;
  /** On disk when it returns, but for a mere look. `before` is believed too, until it is told without one. */
  remember(clientId: string, before?: string | null): void;
  /** As if nobody had been invited from here. */
  forget(): void;
}

const FILE = 'known.json';

/**
 * Beside the record of a setup. A server that others have come to own may say of itself that it is another one: what is done at home
 * for a Nextcloud goes by what is in here.
 */
export class KnownFile {
  readonly path: string;
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.path = join(folder, FILE);
  }

  /** `null` when nothing was set up from here yet. Throws `setup_record_damaged` (exit 3). */
  read(): Known | null {
    return existsSync(this.path) ? readKnown(this.path) : null;
  }

  write({ clientId, instanceId, before }: Known): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    writeFileAtomic(this.path, `${JSON.stringify({ version: 1, clientId, instanceId, before })}\n`, { mode: 0o600 });
  }

  forget(): void {
    rmSync(this.path, { force: true });
  }

  others(): readonly KnownOther[] {
    const parent = dirname(this.#folder);
    if (!existsSync(parent)) return [];
    return readdirSync(parent)
      .filter((name) => name !== basename(this.#folder) && existsSync(join(parent, name, FILE)))
      .map((name) => ({ folder: join(parent, name), ...readKnown(join(parent, name, FILE)) }));
  }
}

function readKnown(path: string): Known {
  try {
    const { version: _, ...known } = parseInput(schema, JSON.parse(readFileSync(path, 'utf8')));
    return known;
  } catch (cause) {
    throw new LatchkeyError('setup_record_damaged', `${path} is not as ncpatch has written it`, {
      exit: 3,
      cause,
      hint: 'it says which client of the key server a Nextcloud is: put it right, or move it away when you know that nothing is wrong',
    });
  }
}

/**
 * One that an earlier version has set up, which went by the id and wrote down none: believed once, unless it is another's. `isEnrolled`
 * is what the record says; the server is asked only where that matters.
 */
export async function adoptOnce(
  memory: ClientMemory,
  isEnrolled: boolean,
  saidClient: () => Promise<string | undefined>,
): Promise<void> {
  if (!isEnrolled || memory.clientId !== null) return;
  const said = await saidClient();
  if (said === undefined || memory.others.some((one) => isOf(one, said))) return;
  memory.remember(said);
}

/**
 * What steps are given, after the server has said its id. `isLook` keeps nothing. Throws `instance_known` (exit 3) where it is that of
 * another server.
 */
export function memoryOf(file: KnownFile, saidId: string, isLook: boolean): ClientMemory {
  const known = file.read();
  const others = file.others();
  const twin = others.find(({ instanceId }) => instanceId === saidId);
  if (known === null && twin !== undefined) {
    throw new LatchkeyError(
      'instance_known',
      `the Nextcloud there says that it is ${saidId}, which was set up as ${basename(twin.folder)}`,
      {
        exit: 3,
        hint: `name the server as it was named then; if it has moved: mv ${twin.folder}/*.json ${dirname(file.path)}/; a copy of a Nextcloud needs an id of its own`,
      },
    );
  }
  const instanceId = known?.instanceId ?? saidId;
  let clientId = known?.clientId ?? null;
  let before = known?.before ?? null;
  return {
    get clientId() {
      return clientId;
    },
    get before() {
      return before;
    },
    others,
    file: file.path,
    instanceId,
    remember: (id, earlier = null) => {
      clientId = id;
      before = earlier === id ? null : earlier;
      if (!isLook) file.write({ clientId: id, instanceId, before: before ?? undefined });
    },
    forget: () => {
      clientId = null;
      before = null;
      if (!isLook) file.forget();
    },
  };
}
