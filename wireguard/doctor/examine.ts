import type { Kysely } from 'kysely';
import type { UnsealOptions } from '../../platform/vault/unseal-options.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { doorbellFile, type HubData } from '../data/hub-data.ts';
import { askDoorbell } from '../hub/doorbell.ts';
import { readReport } from '../hub/hub-report.ts';
import { type Keeper, keeperWords } from '../hub/interface-claims.ts';
import { keptInterfaces } from '../hub/tell-hubs.ts';
import { linkMeans } from '../links/link-means.ts';
import { linkRights } from '../links/link-trouble.ts';
import { poolOf } from '../store/hub-interface.ts';
import { type InterfaceFacts, listInterfaceFacts } from '../store/interface-facts.ts';
import { countFreeAddresses } from '../store/peer-counts.ts';
import type { HubDatabase } from '../store/schema.ts';
import { type Finding, findingsAbout } from './finding.ts';
import { frontFindings } from './front-findings.ts';
import { lookAtFront } from './front-look.ts';
import { hubFindings } from './hub-findings.ts';
import { lookAtHub } from './hub-look.ts';
import { interfaceFindings } from './interface-findings.ts';
import { lookAtInterface } from './interface-look.ts';
import { machineFindings } from './machine-findings.ts';
import { type PeerLook, peerFindings } from './peer-findings.ts';

export interface ExamineParts {
  readonly now: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly unseal: UnsealOptions;
}

const DAY = 86_400_000;

/** Looks at everything that a hub needs, changing nothing. `vault` is `null` when it is not opened, and why it did not open when that failed. */
export async function examine(
  data: HubData,
  vault: Vault | { readonly message: string; readonly hint: string } | null,
  { now, env, unseal }: ExamineParts,
): Promise<Finding[]> {
  const { store, config, directory } = data;
  const report = readReport(await askDoorbell(doorbellFile(directory)));
  const pid = report?.pid ?? null;
  const isHubRunning = pid !== null;
  const found = [
    ...hubFindings(await lookAtHub(data, vault, { now, pid, unseal })),
    ...frontFindings(lookAtFront(data, now)),
  ];
  const seal = vault === null || 'message' in vault ? null : vault;
  const means = config.driver === 'memory' ? null : await linkMeans(env);
  if (means !== null) found.push(...machineFindings(means, linkRights()));
  const kept = await keptInterfaces(data);
  for (const facts of await store.read(listInterfaceFacts)) {
    const isOwn = config.interfaces?.includes(facts.name) ?? true;
    const isSeen = report?.interfaces.some(({ name }) => name === facts.name) === true;
    const keeper = kept.find((one) => one.interface === facts.name);
    if (!isSeen && (keeper !== undefined || !isOwn)) {
      found.push(keeperFinding(facts.name, keeper ?? null));
      continue;
    }
    found.push(
      ...(means === null
        ? [findingsAbout(facts.name).ok('driver', 'memory: there is no interface, as config.json says')]
        : interfaceFindings(await lookAtInterface(facts, store, seal, { means, isHubRunning }))),
      ...peerFindings({ directory, isHubRunning, ...(await store.read((db) => peersOf(db, facts, now))) }),
    );
  }
  return found;
}

/** Of an interface that another hub is to keep, that one's machine has to be asked for more. */
function keeperFinding(name: string, keeper: Keeper | null): Finding {
  const { ok, fault } = findingsAbout(name);
  if (keeper !== null) return ok('keeper', `${keeperWords(keeper)}, where wghub doctor tells more`);
  const why = 'its tunnels may go on, but nothing that is changed reaches them';
  return fault('keeper', 'no hub that runs', why, `start the hub whose "interfaces" has ${name}`);
}

async function peersOf(
  db: Kysely<HubDatabase>,
  facts: InterfaceFacts,
  now: number,
): Promise<Omit<PeerLook, 'directory' | 'isHubRunning'>> {
  const { name } = facts;
  const { first, last, taken } = poolOf(facts);
  const living = db.selectFrom('peer').select('name').where('interface', '=', name).where('status', '<>', 'deleted');
  const silent = living.where('status', '=', 'pending').where('last_handshake', 'is', null);
  const expired = await living.where('expires_at', '<=', now).orderBy('name').execute();
  const neverHeard = await silent
    .where('created_at', '<=', now - DAY)
    .orderBy('name')
    .execute();
  return {
    interface: name,
    poolSize: last - first + 1 - taken.length,
    poolFree: (await countFreeAddresses(db)).get(name) ?? 0,
    neverHeard: neverHeard.map((row) => row.name),
    expired: expired.map((row) => row.name),
  };
}
