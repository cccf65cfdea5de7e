import { accessSync, constants, existsSync, lstatSync, readdirSync, statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { verifyAudit } from '../../platform/audit-chain.ts';
import { directoryFault } from '../../platform/data-directory.ts';
import { isLatchkeyError } from '../../platform/errors.ts';
import { readTimeSync } from '../../platform/time-sync.ts';
import { unsealOption } from '../../platform/vault/unseal.ts';
import type { UnsealOptions } from '../../platform/vault/unseal-options.ts';
import type { Vault } from '../../platform/vault/vault.ts';
import { sealMethodOf } from '../../platform/vault/vault-file.ts';
import { type HubData, loadAuditKey } from '../data/hub-data.ts';
import { listInterfaces } from '../store/hub-interface.ts';
import type { HubLook } from './hub-findings.ts';

/** Files that everybody may read. */
const PUBLIC_FILES = ['audit.pub', 'tls.pem'];
/** Where systemd keeps the key of its credentials, on machines without a TPM. */
const SYSTEMD_FOLDER = '/var/lib/systemd';

/** Looks at everything of a hub that is no interface. `vault` is `null` when it is not to be tried. */
export async function lookAtHub(
  data: HubData,
  vault: Vault | { readonly message: string; readonly hint: string } | null,
  { now, pid, unseal }: { readonly now: number; readonly pid: number | null; readonly unseal: UnsealOptions },
): Promise<HubLook> {
  const { directory, config } = data;
  const { bavail, bsize } = await statfs(directory);
  const method = await sealMethodOf(directory);
  return {
    now,
    directory,
    directoryFault: directoryFault(directory),
    openFiles: openFiles(directory),
    freeBytes: bavail * bsize,
    database: data.databaseFile === null ? 'postgres' : 'sqlite',
    isWritable: await isWritable(data),
    vault: await vaultLook(data, vault),
    secretBesideData: secretBesideData(directory, method, unseal),
    unsealOption: unsealOption[method],
    audit: await auditLook(data),
    lastRecordAt: await lastRecordAt(data),
    timeSync: await readTimeSync(),
    pid,
    lastBackupAt: await lastBackupAt(data),
    exportFolder:
      config.exportFolder === null ? null : { path: config.exportFolder, trouble: folderTrouble(config.exportFolder) },
  };
}

function openFiles(directory: string): string[] {
  return readdirSync(directory).filter((name) => {
    if (PUBLIC_FILES.includes(name)) return false;
    const state = lstatSync(join(directory, name), { throwIfNoEntry: false });
    return state !== undefined && (state.mode & 0o077) !== 0;
  });
}

/** Really writes, what is there already. */
async function isWritable({ store }: HubData): Promise<boolean> {
  try {
    await store.transaction((tx) =>
      tx
        .updateTable('server_secret')
        .set(({ ref }) => ({ created_at: ref('created_at') }))
        .execute(),
    );
    return true;
  } catch {
    return false;
  }
}

async function vaultLook(data: HubData, vault: Parameters<typeof lookAtHub>[1]): Promise<HubLook['vault']> {
  if (vault === null) return 'closed';
  if ('message' in vault) return vault;
  try {
    await loadAuditKey(data, vault);
    await data.store.read((db) => listInterfaces(db, vault));
    return 'opens';
  } catch (error) {
    if (!isLatchkeyError(error)) throw error;
    return { message: error.message, hint: error.hint ?? 'wghub restore, from a backup' };
  }
}

/** Only for secrets that are files. A credential's own key is a file where there is no TPM. */
function secretBesideData(
  directory: string,
  method: Awaited<ReturnType<typeof sealMethodOf>>,
  { keyfile, passphraseFile }: UnsealOptions,
): boolean | null {
  const device = (path: string): number | null => statSync(path, { throwIfNoEntry: false })?.dev ?? null;
  const file = method === 'keyfile' ? keyfile : method === 'passphrase' ? passphraseFile : undefined;
  if (file !== undefined) return device(file) === device(directory);
  if (method !== 'credential' || !existsSync(SYSTEMD_FOLDER)) return null;
  return !existsSync('/dev/tpmrm0') && device(SYSTEMD_FOLDER) === device(directory);
}

async function auditLook({ store, auditKey }: HubData): Promise<HubLook['audit']> {
  try {
    return await store.read((db) => verifyAudit(db, auditKey));
  } catch (error) {
    if (!isLatchkeyError(error, 'audit_broken')) throw error;
    return { broken: error.message };
  }
}

async function lastRecordAt({ store }: HubData): Promise<number> {
  const last = await store.read((db) =>
    db.selectFrom('audit').select('body').orderBy('seq', 'desc').limit(1).executeTakeFirst(),
  );
  return last === undefined ? 0 : (JSON.parse(last.body) as { time: number }).time;
}

async function lastBackupAt({ store }: HubData): Promise<number | null> {
  const last = await store.read((db) =>
    db.selectFrom('backup').select('made_at').orderBy('made_at', 'desc').limit(1).executeTakeFirst(),
  );
  return last === undefined ? null : Number(last.made_at);
}

function folderTrouble(path: string): string | null {
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    return null;
  } catch (error) {
    return `cannot be written to (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`;
  }
}
