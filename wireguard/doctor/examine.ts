import type { Kysely } from 'kysely';
import type { UnsealOptions } from '../../platform/vault/unseal-options.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { doorbellFile, type HubData } from '../data/hub-data.ts';
import { askDoorbell } from '../hub/doorbell.ts';
import { readReport } from '../hub/hub-report.ts';
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
  const pid = readReport(await askDoorbell(doorbellFile(directory)))?.pid ?? null;
  const isHubRunning = pid !== null;
  const found = [
    ...hubFindings(await lookAtHub(data, vault, { now, pid, unseal })),
    ...frontFindings(lookAtFront(data, now)),
  ];
  const seal = vault === null || 'message' in vault ? null : vault;
  const means = config.driver === 'memory' ? null : await linkMeans(env);
  if (means !== null) found.push(...machineFindings(means, linkRights()));
  for (const facts of await store.read(listInterfaceFacts)) {
    found.push(
      ...(means === null
        ? [findingsAbout(facts.name).ok('driver', 'memory: there is no interface, as config.json says')]
        : interfaceFindings(await lookAtInterface(facts, store, seal, { means, isHubRunning }))),
      ...peerFindings({ directory, isHubRunning, ...(await store.read((db) => peersOf(db, facts, now))) }),
    );
  }
  return found;
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
