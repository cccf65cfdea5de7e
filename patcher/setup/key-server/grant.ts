import { LatchkeyError } from '../../../platform/errors.ts';
import type { SetupContext } from '../setup-step.ts';
import { keyServerCommands } from './key-server-commands.ts';
import { refuseDoubt } from './own-client.ts';

/** A grant waits an hour for its first use; one that is about to end is not handed out. */
const GOOD_FOR_MS = 50 * 60_000;

interface HeldGrant {
  readonly clientId: string;
  readonly grant: string;
  readonly since: number;
}

/** Grants of this run, in memory only. */
const held = new WeakMap<SetupContext, HeldGrant>();

/** Keeps what came with an enrolment code. */
export function keepGrant(context: SetupContext, clientId: string, grant: string): void {
  if (grant !== '') held.set(context, { clientId, grant, since: context.now() });
}

/**
 * What this Nextcloud needs to store its keys: what came with its enrolment in this run, or a new one. It is handed out once.
 * `null` where it is not enrolled. Throws `client_differs` (exit 3) where the server names one that is not its own.
 */
export async function freshGrant(context: SetupContext): Promise<string | null> {
  const { enrolment } = await context.facts();
  if (enrolment === null) return null;
  const { config, memory } = context;
  const clients = memory.clientId === null ? await keyServerCommands(context).clients() : [];
  refuseDoubt(enrolment.clientId, { name: config.client, memory }, clients);
  const own = held.get(context);
  held.delete(context);
  const age = own === undefined ? Number.POSITIVE_INFINITY : context.now() - own.since;
  if (own?.clientId === enrolment.clientId && age >= 0 && age < GOOD_FOR_MS) return own.grant;
  const { clientId, grant } = await keyServerCommands(context).grant(enrolment.clientId);
  if (clientId === enrolment.clientId) return grant;
  throw new LatchkeyError('keyserver_unknown', 'the key server at home made a grant for another client');
}
