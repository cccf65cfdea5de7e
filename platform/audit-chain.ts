import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { type CompiledQuery, type Kysely, type QueryResult, sql } from 'kysely';
import { sha256 } from './encoding.ts';
import { LatchkeyError } from './errors.ts';
import { statement } from './statement.ts';

/** The two tables an audit chain needs. */
export interface AuditTables {
  /** `body` is the canonical JSON of the record, `hash` = SHA-256(hash of the record before ‖ body). */
  audit: { seq: number; body: string; hash: Uint8Array };
  /** Ed25519 over `signedText(seq, hash, time)`. */
  audit_signature: { seq: number; hash: Uint8Array; time: number; signature: Uint8Array };
}

/** Anything canonical JSON can spell: no fractions, no `undefined`. */
export type CanonicalValue =
  | string
  | number
  | boolean
  | null
  | readonly CanonicalValue[]
  | { readonly [name: string]: CanonicalValue };

/** What the caller tells of an event; the chain adds `seq`. Never a secret: links by their id, keys by their id. */
export interface AuditEntry {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Past tense, snake_case: `key_released`, `client_locked`. */
  readonly event: string;
  readonly client?: string;
  readonly source?: string;
  readonly keys?: readonly string[];
  readonly reason?: string;
  /** Gate by gate, `pass` or the code it refused with. */
  readonly verdicts?: Readonly<Record<string, string>>;
  /** A link id, never a link. */
  readonly link?: string;
  /** How long the request took, in whole milliseconds. */
  readonly ms?: number;
  /** Anything else worth a record. */
  readonly detail?: { readonly [name: string]: CanonicalValue };
}

export interface AuditHead {
  readonly seq: number;
  /** 64 hex digits. */
  readonly hash: string;
}

/** The hash that the first record follows: 32 zero bytes. */
export const genesisHash: Uint8Array = new Uint8Array(32);

/**
 * RFC 8785 for the values an audit record has: names sorted by UTF-16 code units, no white space, integers only, so
 * that a record has one spelling in any language.
 */
export function canonicalJson(value: CanonicalValue): string {
  if (typeof value === 'string') return quoted(value);
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || Object.is(value, -0))
      throw new TypeError('an audit number must be a safe integer');
    return String(value);
  }
  if (isList(value)) return `[${value.map(canonicalJson).join(',')}]`;
  let text = '';
  for (const name of sortedNames(value)) {
    const member = value[name];
    if (member !== undefined) text += `${text === '' ? '' : ','}${quoted(name)}:${canonicalJson(member)}`;
  }
  return `{${text}}`;
}

/** Most strings of a record are plain ASCII, and looking for that is cheaper than having JSON escape nothing. */
function quoted(text: string): string {
  return /^[ !#-[\]-~]*$/.test(text) ? `"${text}"` : JSON.stringify(text);
}

/** Sorting costs more than seeing that a record was written in order already. */
function sortedNames(value: object): readonly string[] {
  const names = Object.keys(value);
  for (let index = 1; index < names.length; index++) {
    if ((names[index - 1] ?? '') >= (names[index] ?? '')) return names.sort();
  }
  return names;
}

function isList(value: CanonicalValue): value is readonly CanonicalValue[] {
  return Array.isArray(value);
}

/** The record after `head`: what is stored, and the new head. */
export function nextRecord(
  head: { readonly seq: number; readonly hash: Uint8Array },
  entry: AuditEntry,
): { readonly seq: number; readonly body: string; readonly hash: Buffer } {
  const seq = head.seq + 1;
  const body = canonicalJson({ ...entry, seq } as unknown as CanonicalValue);
  return { seq, body, hash: sha256(head.hash, body) };
}

/** What of a transaction this file needs; Kysely's own objects and the store's have it. */
export interface AuditTx {
  executeQuery<R>(query: CompiledQuery<R>): Promise<QueryResult<R>>;
}

/** A record's number and its hash's 32 bytes. */
export interface AuditPlace {
  readonly seq: number;
  readonly hash: Uint8Array;
}

const beforeFirst: AuditPlace = { seq: 0, hash: genesisHash };

const readHead = statement<AuditTables, [], AuditPlace>((db) =>
  db.selectFrom('audit').select(['seq', 'hash']).orderBy('seq', 'desc').limit(sql.lit(1)),
);

const readHash = statement<AuditTables, [seq: number], { hash: Uint8Array }>((db, slot) =>
  db.selectFrom('audit').select('hash').where('seq', '=', slot<number>(0)),
);

const insertRecord = statement<AuditTables, [seq: number, body: string, hash: Uint8Array]>((db, slot) =>
  db.insertInto('audit').values({ seq: slot<number>(0), body: slot<string>(1), hash: slot<Uint8Array>(2) }),
);

function tables(tx: AuditTx): Kysely<AuditTables> {
  return tx as unknown as Kysely<AuditTables>;
}

async function lastRecord(tx: AuditTx): Promise<AuditPlace> {
  return (await readHead(tables(tx)))[0] ?? beforeFirst;
}

/** As it is told to others. */
export function headText({ seq, hash }: AuditPlace): AuditHead {
  return { seq, hash: Buffer.from(hash.buffer, hash.byteOffset, hash.byteLength).toString('hex') };
}

/** The last record's number and hash; 0 and zero bytes before the first. */
export async function auditHead(tx: AuditTx): Promise<AuditHead> {
  return headText(await lastRecord(tx));
}

/** The hash of record `seq`, 64 hex digits; of record 0 the zero bytes before the first; `null` for one not there. */
export async function auditHashAt(tx: AuditTx, seq: number): Promise<string | null> {
  if (seq === 0) return Buffer.from(genesisHash).toString('hex');
  const row = (await readHash(tables(tx), seq))[0];
  return row === undefined ? null : Buffer.from(row.hash).toString('hex');
}

/**
 * Appends `entry` inside the caller's transaction; the record is there when, and only when, that commits. Whoever read
 * the head in this transaction already, and appended nothing since, may hand it in; a wrong one fails on its number.
 */
export async function appendAudit(tx: AuditTx, entry: AuditEntry, head?: AuditPlace): Promise<AuditHead> {
  const record = nextRecord(head ?? (await lastRecord(tx)), entry);
  await insertRecord(tables(tx), record.seq, record.body, record.hash);
  return headText(record);
}

/** Signs the head inside the caller's transaction; `null` when there is nothing new to sign. */
export async function signAudit(tx: AuditTx, time: number, key: KeyObject): Promise<AuditHead | null> {
  const head = await lastRecord(tx);
  const last = await tables(tx)
    .selectFrom('audit_signature')
    .select('seq')
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (head.seq === (last?.seq ?? 0)) return null;
  const { seq, hash } = head;
  const signature = signHead({ seq, hash }, time, key);
  await tables(tx).insertInto('audit_signature').values({ seq, hash, time, signature }).execute();
  return headText(head);
}

/** A page of stored rows, oldest first, after record `after`. */
export async function readAudit(
  tx: AuditTx,
  after: number,
  limit: number,
): Promise<readonly { seq: number; body: string; hash: Uint8Array }[]> {
  return tables(tx)
    .selectFrom('audit')
    .select(['seq', 'body', 'hash'])
    .where('seq', '>', after)
    .orderBy('seq')
    .limit(limit)
    .execute();
}

/** Checks everything that is stored against the server's public key; throws `audit_broken` naming the record. */
export async function verifyAudit(tx: AuditTx, publicKey: KeyObject | string): Promise<AuditReport> {
  const signatures = await tables(tx).selectFrom('audit_signature').selectAll().orderBy('seq').execute();
  const verifier = new AuditVerifier(signatures, publicKey);
  for (let after = 0; ; ) {
    const rows = await readAudit(tx, after, 1000);
    for (const row of rows) verifier.add(row);
    const last = rows.at(-1);
    if (last === undefined) return verifier.finish();
    after = last.seq;
  }
}

/** Whether the log was begun by the holder of this key: the first signature is by it. */
export async function isSignedBy(tx: AuditTx, publicKey: KeyObject | string): Promise<boolean> {
  const first = await tables(tx).selectFrom('audit_signature').selectAll().orderBy('seq').limit(1).executeTakeFirst();
  if (first === undefined) return false;
  const key = typeof publicKey === 'string' ? createPublicKey(publicKey) : publicKey;
  return verify(null, signedText(first.seq, first.hash, first.time), key, first.signature);
}

/** The text a signature covers. */
export function signedText(seq: number, hash: Uint8Array, time: number): Buffer {
  return Buffer.from(`latchkey audit 1|${seq}|${Buffer.from(hash).toString('hex')}|${time}`);
}

export function signHead(head: { seq: number; hash: Uint8Array }, time: number, key: KeyObject): Buffer {
  return sign(null, signedText(head.seq, head.hash, time), key);
}

export interface AuditReport {
  readonly records: number;
  readonly head: AuditHead;
  readonly signatures: number;
  /** Up to which record a signature vouches. */
  readonly signedTo: number;
  readonly signedAt: number;
}

interface SignatureRow {
  readonly seq: number;
  readonly hash: Uint8Array;
  readonly time: number;
  readonly signature: Uint8Array;
}

/**
 * Follows the chain record by record. Throws `audit_broken` naming the first record that was edited, removed or moved,
 * or the signature that vouches for records which are gone. The first record must be signed.
 */
export class AuditVerifier {
  readonly #signatures: Map<number, SignatureRow>;
  readonly #lastSigned: SignatureRow | undefined;
  #seq = 0;
  #hash: Uint8Array = genesisHash;

  constructor(signatures: readonly SignatureRow[], publicKey: KeyObject | string) {
    const key = typeof publicKey === 'string' ? createPublicKey(publicKey) : publicKey;
    this.#signatures = new Map(signatures.map((row) => [row.seq, row]));
    this.#lastSigned = signatures.reduce<SignatureRow | undefined>(
      (last, row) => (last === undefined || row.seq > last.seq ? row : last),
      undefined,
    );
    for (const row of signatures) {
      if (!verify(null, signedText(row.seq, row.hash, row.time), key, row.signature)) {
        throw broken(row.seq, 'its signature is not by this server');
      }
    }
  }

  /** The next stored row, in the order of `seq`. */
  add(row: { readonly seq: number; readonly body: string; readonly hash: Uint8Array }): void {
    const expected = this.#seq + 1;
    if (row.seq !== expected) throw broken(expected, 'the record is missing');
    if (!sha256(this.#hash, row.body).equals(row.hash))
      throw broken(expected, 'its hash does not follow from the record');
    if (!isRecord(row.body, row.seq)) throw broken(expected, 'its text is not a canonical record of that number');
    const signed = this.#signatures.get(row.seq);
    if (signed !== undefined && !Buffer.from(signed.hash).equals(row.hash)) {
      throw broken(expected, 'the signature vouches for another record');
    }
    this.#seq = row.seq;
    this.#hash = row.hash;
  }

  /** Call after the last row. */
  finish(): AuditReport {
    const last = this.#lastSigned;
    if (last !== undefined && last.seq > this.#seq) {
      throw broken(this.#seq + 1, `records up to ${last.seq} were signed and are gone`);
    }
    // whoever makes a log signs its first record: without that, a log rewritten from the start could pass as a young one
    if (last === undefined || !this.#signatures.has(1))
      throw broken(1, 'it is not signed, as the first record of every log is');
    return {
      records: this.#seq,
      head: { seq: this.#seq, hash: Buffer.from(this.#hash).toString('hex') },
      signatures: this.#signatures.size,
      signedTo: last.seq,
      signedAt: last.time,
    };
  }
}

function isRecord(body: string, seq: number): boolean {
  try {
    const value = JSON.parse(body) as CanonicalValue;
    return canonicalJson(value) === body && (value as { seq?: unknown }).seq === seq;
  } catch {
    return false;
  }
}

function broken(seq: number, why: string): LatchkeyError {
  return new LatchkeyError('audit_broken', `audit record ${seq}: ${why}`, {
    exit: 1,
    hint: 'the log was changed after it was written; compare it with your backups before trusting this server',
    extra: { seq },
  });
}
