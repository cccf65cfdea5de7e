import * as z from 'zod';
import { LatchkeyError } from '../../../platform/errors.ts';
import { parseInput } from '../../../platform/schema.ts';
import { lastJson } from '../../occ.ts';
import { type HomeScene, runAsAccount } from './home-end.ts';

const status = z.looseObject({
  health: z.string(),
  sealedWith: z.string(),
  clients: z.object({ new: z.int(), enrolled: z.int(), locked: z.int(), revoked: z.int() }),
  keys: z.int(),
});
const listening = z.looseObject({
  listen: z.object({ host: z.string(), port: z.int() }),
  hosts: z.array(z.string()),
  transport: z.enum(['tls', 'plain-http']),
});
const client = z.looseObject({
  id: z.string(),
  name: z.string(),
  state: z.enum(['new', 'enrolled', 'locked', 'revoked']),
  killed: z.boolean(),
  from: z.array(z.string()),
  keys: z.array(z.string()),
  releasedAt: z.number().nullable(),
  heardAt: z.number().nullable(),
  presentAt: z.number().nullable(),
});
const clients = z.object({ clients: z.array(client) });
const invitation = z.object({
  clientId: z.string(),
  code: z.string(),
  url: z.string(),
  ca: z.string(),
  grant: z.string(),
});
const granted = z.object({ clientId: z.string(), grant: z.string() });
const service = z.object({ platform: z.string(), text: z.string() });
const anything = z.looseObject({});

export type KeyServerListening = z.infer<typeof listening>;
export type KnownClient = z.infer<typeof client>;

const TIMEOUT_MS = 120_000;

/** The key server's own commands at home, run as its account on its data directory. What it refuses is thrown under its code. */
export function keyServerCommands(scene: HomeScene) {
  const { home, agreed } = scene;
  const { data, keyfile, account } = agreed.keyServer;
  const ask = async <T>(schema: z.ZodType<T>, ...words: readonly string[]): Promise<T> => {
    const argv = [...home.keyserver, ...words, '--data', data, '--json'];
    const result = await runAsAccount(scene, argv, TIMEOUT_MS);
    const value = lastJson(result.stdout.toString('utf8'));
    const told = refused.safeParse(value);
    if (told.success) throw refusalOf(told.data, result.exit);
    if (value === undefined || result.exit !== 0) {
      throw new LatchkeyError(
        'keyserver_failed',
        `"keyserver ${words[0]}" at home ended with exit code ${result.exit}`,
        {
          extra: { exit: result.exit, stderr: result.stderr.slice(-4096) },
        },
      );
    }
    try {
      return parseInput(schema, value);
    } catch (cause) {
      throw new LatchkeyError(
        'keyserver_unknown',
        `"keyserver ${words[0]}" at home answered in a form that is not known`,
        {
          hint: 'both machines must have the same version of Latchkey',
          cause,
        },
      );
    }
  };
  return {
    status: () => ask(status, 'status'),
    listening: () => ask(listening, 'listen'),
    /** From its next start on; its certificate then names these hosts, the preferred one first. */
    listenAt: (authority: string, hosts: readonly string[]) => ask(listening, 'listen', authority, '--host', ...hosts),
    clients: async () => (await ask(clients, 'client', 'list')).clients,
    addClient: (name: string, from: readonly string[]) => ask(invitation, 'client', 'add', name, '--from', ...from),
    resetClient: (id: string) => ask(invitation, 'client', 'reset', id),
    grant: (id: string) => ask(granted, 'client', 'grant', id),
    revokeClient: (id: string) => ask(anything, 'client', 'revoke', id),
    allowFrom: (id: string, from: readonly string[]) => ask(anything, 'client', 'policy', id, '--from', ...from),
    /** Text of the service file for that machine. */
    serviceText: async () => {
      const words = ['--platform', home.platform, '--user', account, '--keyfile', keyfile];
      return (await ask(service, 'service', 'print', ...words)).text;
    },
  };
}

const refused = z.object({
  error: z.object({
    code: z.string().regex(/^[a-z][a-z0-9_]{0,63}$/),
    message: z.string(),
    hint: z.string().optional(),
  }),
});

/** Our own program's words, but from another machine. */
function refusalOf({ error }: z.infer<typeof refused>, exit: number): LatchkeyError {
  const line = (text: string): string => text.replaceAll(/[^\P{C}]+/gu, ' ').slice(0, 500);
  return new LatchkeyError(error.code, `the key server at home: ${line(error.message)}`, {
    ...(exit === 3 ? { exit: 3 } : {}),
    ...(error.hint === undefined ? {} : { hint: line(error.hint) }),
  });
}
