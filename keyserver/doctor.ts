import { statfs } from 'node:fs/promises';
import type { Kysely } from 'kysely';
import { channelHealth } from '../platform/alert-report.ts';
import { verifyAudit } from '../platform/audit-chain.ts';
import { directoryFault } from '../platform/data-directory.ts';
import { isLatchkeyError } from '../platform/errors.ts';
import { isWritable } from '../platform/guarded-store.ts';
import type { TimeSync } from '../platform/time-sync.ts';
import type { Vault } from '../platform/vault/vault.ts';
import { placeOf } from '../wireguard/interface-address.ts';
import { lastBackup } from './backup/backup.ts';
import { bundleOf, readAuthorities } from './certificates/authorities.ts';
import { certificateOutlook, type Outlook } from './certificates/outlook.ts';
import { isKillFilePresent, openFiles } from './data-directory.ts';
import { killedSince } from './kill-switch.ts';
import type { Database } from './schema.ts';
import type { ServerData } from './server-data.ts';
import { findServerCertificate, loadAuditKey, loadAuthority } from './server-secrets.ts';

const day = 86_400_000;
/** How long a client may take to use new secrets, and days until a backup is old. */
const patience = 2 * day;
const oldBackup = 8;
const mebibyte = 1_048_576;
/** Under this, disk space is a fault: a full disk stops every release. */
const leastSpace = 64 * mebibyte;
/** Under this it is worth a word. */
const goodSpace = 512 * mebibyte;

export interface Finding {
  readonly check: string;
  readonly verdict: 'ok' | 'warn' | 'fault';
  readonly found: string;
  readonly hint?: string;
}

/** Looks at everything that has to be right for a release, changing nothing. `vault` is `null` when it is not opened. */
export async function examine(data: ServerData, vault: Vault | null, now: number): Promise<Finding[]> {
  const store = await storeFinding(data);
  const around = [directoryFinding(data.directory), store, await spaceFinding(data.directory), listenFinding(data)];
  if (store.verdict === 'fault') return around; // what lies in the database cannot be told then
  return [
    ...around,
    await vaultFinding(data, vault),
    ...(await certificateFindings(data, now)),
    await clockFinding(data, now),
    ...(await auditFindings(data, now)),
    await switchFinding(data),
    await clientFinding(data),
    ...(await rotationFinding(data, now)),
    await backupFinding(data, now),
    await alertFinding(data),
  ];
}

/** What the system says of its clock. */
export function timeSyncFinding(sync: TimeSync): Finding {
  const check = 'time server';
  if (sync === 'yes') return { check, verdict: 'ok', found: 'the system keeps its clock by one' };
  const hint = 'clients whose time differs by 60 s are refused; have NTP keep the clock, on both machines';
  if (sync === 'no') return { check, verdict: 'warn', found: 'the system says that its clock is not kept', hint };
  return { check, verdict: 'ok', found: 'could not be asked for here' };
}

function directoryFinding(directory: string): Finding {
  const fault = directoryFault(directory);
  if (fault !== null)
    return { check: 'data directory', verdict: 'fault', found: fault, hint: `chmod 700 ${directory}` };
  const open = openFiles(directory);
  if (open.length === 0) return { check: 'data directory', verdict: 'ok', found: 'private, mode 700' };
  const hint = `chmod 600 ${open.map((name) => `${directory}/${name}`).join(' ')}`;
  return { check: 'data directory', verdict: 'warn', found: `others may read ${open.join(', ')}`, hint };
}

async function storeFinding(data: ServerData): Promise<Finding> {
  if (await isWritable(data.store)) return { check: 'database', verdict: 'ok', found: 'writable' };
  const hint = "is the disk full, read-only, or the file another user's?";
  return { check: 'database', verdict: 'fault', found: 'cannot be written', hint };
}

async function vaultFinding(data: ServerData, vault: Vault | null): Promise<Finding> {
  if (vault === null) {
    return { check: 'vault', verdict: 'warn', found: 'not opened', hint: 'give the unseal option to have it tried' };
  }
  try {
    await data.store.read(async (tx) => {
      await loadAuditKey(tx, vault, data.auditKey);
      for (const { serial } of await readAuthorities(tx)) await loadAuthority(tx, vault, serial);
      await openEveryKey(tx, vault);
    });
    return { check: 'vault', verdict: 'ok', found: 'opens, and every sealed key with it' };
  } catch (error) {
    if (!isLatchkeyError(error)) throw error;
    return {
      check: 'vault',
      verdict: 'fault',
      found: error.message,
      ...(error.hint !== undefined && { hint: error.hint }),
    };
  }
}

async function openEveryKey(tx: Kysely<Database>, vault: Vault): Promise<void> {
  const rows = await tx.selectFrom('stored_key').selectAll().execute();
  for (const row of rows) vault.open({ kind: 'key', client: row.client_id, id: row.key_id, version: 1 }, row.sealed);
}

const certificateNames = {
  ca: 'certificate authority',
  server: 'certificate',
  client: 'client certificate',
  admin: 'admin certificate',
} as const;

async function certificateFindings(data: ServerData, now: number): Promise<Finding[]> {
  const { outlook, server, authorities } = await data.store.read(async (tx) => ({
    outlook: await certificateOutlook(tx, now),
    server: await findServerCertificate(tx, data.config.hosts, now),
    authorities: await readAuthorities(tx),
  }));
  const findings = outlook.map((one): Finding => {
    const check = one.name === '' ? certificateNames[one.purpose] : `${certificateNames[one.purpose]} ${one.name}`;
    if (one.purpose === 'server' && server === null && (one.daysLeft ?? 0) >= 30) {
      const hint = 'start the server again: it makes a new one then';
      return { check, verdict: 'warn', found: 'does not fit the hosts in config.json', hint };
    }
    const found = one.daysLeft === null ? 'none that holds' : endText(one.daysLeft);
    if (one.verdict === 'ok') return { check, verdict: 'ok', found };
    const isFault = one.verdict === 'ended' && (one.purpose === 'ca' || one.purpose === 'server');
    return { check, verdict: isFault ? 'fault' : 'warn', found, hint: certificateHint(one) };
  });
  if (data.ca === bundleOf(authorities)) return findings;
  const hint = 'a running server writes it anew within seconds';
  return [...findings, { check: 'ca.pem', verdict: 'warn', found: 'is not what the database has', hint }];
}

function endText(days: number): string {
  return days < 0 ? `ended ${-days} days ago` : `${days} days left`;
}

function certificateHint({ purpose, verdict, name }: Outlook): string {
  if (purpose === 'ca') return 'replace it: keyserver cert rollover begin';
  if (purpose === 'server') return 'a running server renews it by itself; by hand: keyserver cert renew-server';
  if (purpose === 'admin') return `keyserver cert export-admin --name ${name}`;
  return verdict === 'soon'
    ? 'the client renews it by itself while it can reach this server: see its own status'
    : `keyserver client reset ${name}, then enrol it again`;
}

/** The clock has no judge at hand but the log: a record from the future means it went back. */
async function clockFinding(data: ServerData, now: number): Promise<Finding> {
  const last = await data.store.read((tx) =>
    tx.selectFrom('audit').select('body').orderBy('seq', 'desc').limit(1).executeTakeFirst(),
  );
  const time = last === undefined ? 0 : (JSON.parse(last.body) as { time: number }).time;
  if (time <= now + 1000) return { check: 'clock', verdict: 'ok', found: 'not behind the last record' };
  const seconds = Math.round((time - now) / 1000);
  return {
    check: 'clock',
    verdict: 'fault',
    found: `${seconds} s behind the last audit record`,
    hint: 'set the clock, and have it kept by NTP; clients whose time differs by 60 s are refused',
  };
}

async function spaceFinding(directory: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  const verdict = free < leastSpace ? 'fault' : free < goodSpace ? 'warn' : 'ok';
  const hint = verdict === 'ok' ? {} : { hint: 'free some space: nothing is released without a record on disk' };
  return { check: 'disk space', verdict, found: `${Math.floor(free / mebibyte)} MiB free`, ...hint };
}

async function auditFindings(data: ServerData, now: number): Promise<Finding[]> {
  try {
    const { records, signedTo, signedAt } = await data.store.read((tx) => verifyAudit(tx, data.auditKey));
    const whole: Finding = { check: 'audit log', verdict: 'ok', found: `${records} records, unbroken` };
    const stale = signedTo < records && now - signedAt > 2 * 3_600_000;
    const found = `up to record ${signedTo}`;
    if (!stale) return [whole, { check: 'audit signature', verdict: 'ok', found }];
    return [
      whole,
      { check: 'audit signature', verdict: 'warn', found, hint: 'a running server signs every hour and when it stops' },
    ];
  } catch (error) {
    if (!isLatchkeyError(error, 'audit_broken')) throw error;
    return [
      {
        check: 'audit log',
        verdict: 'fault',
        found: error.message,
        ...(error.hint !== undefined && { hint: error.hint }),
      },
    ];
  }
}

function listenFinding(data: ServerData): Finding {
  const { host } = data.config.listen;
  const place = placeOf(host);
  const check = 'listen address';
  if (place.kind === 'loopback') return { check, verdict: 'ok', found: `${host} is loopback` };
  if (place.kind === 'wireguard')
    return { check, verdict: 'ok', found: `${host} is on ${place.interface}, a WireGuard interface` };
  if (place.kind === 'absent')
    return { check, verdict: 'warn', found: `${host} is on no interface`, hint: 'bring the tunnel up' };
  const found =
    place.kind === 'other' ? `${host} is on ${place.interface}, not WireGuard` : `${host} is every interface`;
  return { check, verdict: 'fault', found, hint: 'start refuses to serve there' };
}

/** New secrets that a client was told and never used: it does not understand them, or cannot store them. */
async function rotationFinding(data: ServerData, now: number): Promise<Finding[]> {
  const rows = await data.store.read((tx) =>
    tx
      .selectFrom('client')
      .select('name')
      .where('next_told_at', '<', now - patience)
      .orderBy('name')
      .execute(),
  );
  if (rows.length === 0) return [];
  const hint =
    'is its app of before rotations, or its disk full? keyserver client reset gives new secrets by enrolment';
  const found = `told new secrets and still uses the old: ${rows.map((row) => row.name).join(', ')}`;
  return [{ check: 'rotation', verdict: 'warn', found, hint }];
}

async function backupFinding(data: ServerData, now: number): Promise<Finding> {
  const check = 'backup';
  if (data.databaseFile === null) return { check, verdict: 'ok', found: 'is PostgreSQL’s: see to pg_dump' };
  const last = await lastBackup(data);
  const hint = 'keyserver backup --out FILE, onto another machine, by a timer';
  if (last === null) return { check, verdict: 'warn', found: 'none was made yet', hint };
  const days = Math.floor((now - last) / day);
  const found = days <= 0 ? 'less than a day old' : `${days} ${days === 1 ? 'day' : 'days'} old`;
  return days < oldBackup ? { check, verdict: 'ok', found } : { check, verdict: 'warn', found, hint };
}

async function switchFinding(data: ServerData): Promise<Finding> {
  const since = await data.store.read(killedSince);
  const check = 'kill switch';
  if (isKillFilePresent(data.directory))
    return { check, verdict: 'warn', found: 'the file KILL is there', hint: 'remove it to allow releases' };
  if (since === null) return { check, verdict: 'ok', found: 'off' };
  return { check, verdict: 'warn', found: `on since ${new Date(since).toISOString()}`, hint: 'keyserver revive' };
}

async function clientFinding(data: ServerData): Promise<Finding> {
  const rows = await data.store.read((tx) => tx.selectFrom('client').select(['name', 'state']).execute());
  const locked = rows.filter((row) => row.state === 'locked').map((row) => row.name);
  if (locked.length === 0) return { check: 'clients', verdict: 'ok', found: `${rows.length}, none locked` };
  const hint = 'two machines hold its state; find out which is real, then keyserver client reset';
  return { check: 'clients', verdict: 'warn', found: `locked: ${locked.join(', ')}`, hint };
}

/** Nobody to tell is a warning: what an alert is for would be found out too late. */
async function alertFinding(data: ServerData): Promise<Finding> {
  const check = 'alerts';
  const { names, health } = await data.store.read(async (tx) => ({
    names: (await tx.selectFrom('alert_channel').select('name').execute()).map((row) => row.name),
    health: await channelHealth(tx),
  }));
  if (names.length === 0) {
    const hint = 'add a channel with keyserver alert add, and try it with alert test';
    return { check, verdict: 'warn', found: 'no channel, so nobody is told of anything', hint };
  }
  const stuck = health.filter((one) => names.includes(one.channel) && one.error !== null);
  if (stuck.length === 0)
    return {
      check,
      verdict: 'ok',
      found: `${names.length} ${names.length === 1 ? 'channel' : 'channels'}, none failing`,
    };
  const found = stuck.map((one) => `${one.channel}: ${one.error}`).join('; ');
  return { check, verdict: 'warn', found, hint: 'see keyserver alert list, and try again with alert test' };
}
