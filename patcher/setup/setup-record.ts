import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { LatchkeyError } from '../../platform/errors.ts';
import { makePrivateFolder, writeFileAtomic } from '../../platform/files.ts';
import { parseInput } from '../../platform/schema.ts';
import { parseSshTarget } from '../transports/ssh-target.ts';
import type { Agreement } from './agreement.ts';
import { KnownFile } from './client-memory.ts';
import { aloneHere } from './desk-lock.ts';
import type { SetupConfig } from './setup-config.ts';
import { type StepName, stepNames } from './setup-step.ts';

/** How far a step has come. What a run that was killed has left says `begun`. */
export type StepState = 'begun' | 'done' | 'declined' | 'undone';

const endpoint = z.strictObject({ host: z.string(), port: z.int() });
const dials = z.enum(['home', 'server']);
const agreement: z.ZodType<Agreement> = z.strictObject({
  wireguard: z
    .strictObject({
      interface: z.string(),
      network: z.string(),
      homeAddress: z.string(),
      serverAddress: z.string(),
      dials,
      endpoint,
    })
    .nullable(),
  sshTunnel: z.strictObject({ dials, endpoint, account: z.string(), listen: z.int() }).nullable(),
  keyServer: z.strictObject({
    listen: endpoint,
    hosts: z.array(z.string()),
    urls: z.array(z.string()),
    from: z.array(z.string()),
    data: z.string(),
    keyfile: z.string(),
    account: z.string(),
  }),
});
const schema = z.strictObject({
  version: z.literal(1),
  /** As it was wanted, defaults filled in; read again by `parseSetup`. */
  config: z.unknown(),
  agreed: agreement,
  steps: z.partialRecord(
    z.enum(stepNames),
    z.strictObject({ state: z.enum(['begun', 'done', 'declined', 'undone']), at: z.int() }),
  ),
});

/** What is kept of a setup on the machine that ran it: no secret. */
export type SetupRecord = z.infer<typeof schema>;
type Environment = Readonly<Record<string, string | undefined>>;

/** The file of one pair of machines, and the only run that may write it. */
export class RecordFile {
  readonly folder: string;
  readonly #path: string;
  readonly #lock: string;

  /** Named after the server and the Nextcloud on it. */
  constructor({ server }: Pick<SetupConfig, 'server'>, env: Environment) {
    const { root = '', container = '' } = server;
    // without a port it is the same place as with 22
    const at = server.ssh === undefined ? null : parseSshTarget(server.ssh);
    const ssh = at === null ? 'local' : `${at.user}@${at.host}:${at.port}`;
    const digest = createHash('sha256').update([ssh, root, container].join('\0')).digest('hex').slice(0, 8);
    const host = (at?.host ?? ssh).replace(/[^A-Za-z0-9.-]/g, '-');
    const state = env.XDG_STATE_HOME ?? '';
    const base = state.startsWith('/') ? state : join(env.HOME ?? '/', '.local', 'state');
    this.folder = join(base, 'latchkey', 'setup', `${host.slice(0, 64)}-${digest}`);
    this.#path = join(this.folder, 'setup.json');
    this.#lock = join(this.folder, 'running');
  }

  /** `null` when nothing was set up from here yet. Throws `setup_record_damaged`. */
  read(): SetupRecord | null {
    if (!existsSync(this.#path)) return null;
    try {
      return parseInput(schema, JSON.parse(readFileSync(this.#path, 'utf8')));
    } catch (cause) {
      throw new LatchkeyError('setup_record_damaged', `${this.#path} is not as ncpatch has written it`, {
        exit: 3,
        cause,
        hint: 'move it away: each step looks at the machines for itself, only the addresses would be chosen anew',
      });
    }
  }

  write(record: SetupRecord): void {
    makePrivateFolder(this.folder);
    writeFileAtomic(this.#path, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 });
  }

  /** After all of it was taken away. */
  forget(): void {
    rmSync(this.#path, { force: true });
    new KnownFile(this.folder).forget();
  }

  /** Runs `work` as the only one for this pair on this machine. Throws `setup_running` (exit 3), `file_not_written`. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    makePrivateFolder(this.folder);
    return aloneHere(this.#lock, work);
  }
}

/** The record with one step's state set. */
export function withStep(record: SetupRecord, name: StepName, state: StepState, at: number): SetupRecord {
  return { ...record, steps: { ...record.steps, [name]: { state, at } } };
}
