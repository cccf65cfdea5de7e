import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom } from '../../platform/clock.ts';
import { run } from '../../platform/run.ts';
import { keyfileMethod } from '../../platform/vault/unseal.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { unsealVault } from '../../platform/vault/vault-file.ts';
import { addToken } from '../../wireguard/access/api-tokens.ts';
import { hubConfig } from '../../wireguard/data/hub-config.ts';
import { createHubData, type HubData, openHubData } from '../../wireguard/data/hub-data.ts';
import { COMMAND } from '../../wireguard/hub/actor.ts';
import { PeerRegister } from '../../wireguard/hub/peer-register.ts';
import { type HubInterface, listInterfaces } from '../../wireguard/store/hub-interface.ts';
import type { Cleanup } from '../harness/cleanup.ts';
import { testInterface } from '../wireguard/hub-store.ts';

/** A machine for one hub: a network namespace, and a data directory on disk. */
export interface HubPlace {
  readonly data: string;
  readonly keyfile: string;
  readonly interface: string;
  readonly port: number;
  /** A token that may do everything the benchmark does. */
  readonly token: string;
  /** Takes the interface away, if it is there, and with it the program that it is. */
  removeInterface(): Promise<void>;
  /** The words that run a command in there. */
  inside(argv: readonly string[]): readonly [string, ...string[]];
}

const PORT = 8090;

export async function makeHubPlace(cleanup: Cleanup): Promise<HubPlace> {
  const namespace = `lk${process.pid}-0a`; // as the tests name theirs, so that one that was left behind is swept with theirs
  const name = `lkb${process.pid}`;
  const ip = (...argv: string[]) => run(['ip', ...argv], { timeoutMs: 20_000 });
  await ip('netns', 'add', namespace);
  cleanup.add(namespace, () => ip('netns', 'delete', namespace).then(() => undefined));
  await ip('-n', namespace, 'link', 'set', 'lo', 'up');
  const folder = mkdtempSync(join(tmpdir(), 'lk-bench-hub-'));
  cleanup.add(folder, () => rmSync(folder, { recursive: true, force: true }));
  const removeInterface = async (): Promise<void> => {
    await run(['ip', '-n', namespace, 'link', 'delete', name], { timeoutMs: 20_000, allowExit: 'any' });
  };
  cleanup.add(name, removeInterface);
  const [data, keyfile] = [join(folder, 'hub'), join(folder, 'hub.key')];
  writeFileSync(keyfile, systemRandom(32), { mode: 0o600 });
  const spokes = { tokensPerHour: 100_000, hours: 24, otherSource: 'record' as const };
  const config = hubConfig({ version: 1, name: 'bench', listen: { host: '127.0.0.1', port: PORT }, spokes });
  const deps = { clock: systemClock, random: systemRandom, env: {} };
  await createHubData(data, config, facts(name), keyfileMethod(keyfile), deps);
  const token = await withPlace({ data, keyfile }, async ({ store }) => {
    const wish = { name: 'bench', scopes: ['devices', 'peers:read', 'peers:write', 'hub:read'] as const };
    const made = await store.transaction((tx) =>
      addToken(tx, { ...wish, scopes: [...wish.scopes] }, COMMAND, systemClock.now(), systemRandom),
    );
    return made.token;
  });
  return {
    data,
    keyfile,
    interface: name,
    port: PORT,
    token,
    removeInterface,
    inside: (argv) => ['ip', 'netns', 'exec', namespace, ...argv],
  };
}

/** The addresses of a network that a hundred thousand fit in. */
function facts(name: string): HubInterface {
  const networks = ['10.96.0.0/12', 'fd42:4242:1::/64'];
  return testInterface({ name, networks, addresses: ['10.96.0.1/12', 'fd42:4242:1::1/64'], dns: ['10.96.0.1'] });
}

export async function withPlace<T>(
  { data: directory, keyfile }: Pick<HubPlace, 'data' | 'keyfile'>,
  work: (data: HubData, vault: Vault) => Promise<T>,
): Promise<T> {
  const data = await openHubData(directory, {});
  try {
    return await work(data, await unsealVault(directory, keyfileMethod(keyfile), systemRandom));
  } finally {
    await data.store.close();
  }
}

/** How many are under way at once while a hub is filled: they share transactions. */
const AT_ONCE = 500;

/** Makes living peers until there are `count`, in the store alone: an interface is told when it is built. */
export function fill(place: HubPlace, count: number): Promise<void> {
  return withPlace(place, async ({ store }, seal) => {
    const [about] = await store.read((db) => listInterfaces(db, seal));
    if (about === undefined) throw new Error('the hub has no interface');
    const tell = () => Promise.resolve(true);
    const register = new PeerRegister(about, { store, seal, now: systemClock.now, random: systemRandom, tell });
    let there = await livingPeers(store);
    while (there < count) {
      const next = Math.min(AT_ONCE, count - there);
      await Promise.all(
        Array.from({ length: next }, (_, index) => {
          const owner = `user-${Math.floor((there + index) / 3)}`;
          const name = `phone ${there + index}`;
          return register.create({ name, owner, kind: 'device', presharedKey: true }, COMMAND);
        }),
      );
      there += next;
    }
  });
}

async function livingPeers(store: HubData['store']): Promise<number> {
  const row = await store.read((db) =>
    db
      .selectFrom('peer')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('status', '<>', 'deleted')
      .executeTakeFirstOrThrow(),
  );
  return Number(row.count);
}
