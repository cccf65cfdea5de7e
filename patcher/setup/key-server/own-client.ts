import { basename } from 'node:path';
import { LatchkeyError } from '../../../platform/errors.ts';
import { type ClientMemory, isOf } from '../client-memory.ts';
import type { KnownClient } from './key-server-commands.ts';

/** What a server's word is held against. */
export interface OwnClient {
  /** What the key server was to call this Nextcloud. */
  readonly name: string;
  readonly memory: Pick<ClientMemory, 'clientId' | 'before' | 'others' | 'file'>;
}

/** Why a step cannot go on. */
export interface Doubt {
  readonly code: 'client_differs';
  readonly words: string;
  readonly hint: string;
}

/** Pure: `cloud`, or `cloud-2`, as one is called whose name was that of a revoked client. */
function isOwnName(candidate: string, name: string): boolean {
  return candidate === name || numberOf(candidate, name) >= 2;
}

/** Pure: 2 of `cloud-2`; NaN where it is no such name. */
export function numberOf(candidate: string, name: string): number {
  if (!candidate.startsWith(name)) return Number.NaN;
  return Number(/^-([1-9][0-9]*)$/.exec(candidate.slice(name.length))?.[1] ?? Number.NaN);
}

/** Pure: whether another Nextcloud that was set up from this machine is that client. */
export function isAnothers(clientId: string, { others }: Pick<ClientMemory, 'others'>): boolean {
  return others.some((one) => isOf(one, clientId));
}

/** Pure: one that was made for this Nextcloud: by name only while nobody was invited for it from here, as others may be called alike. */
export function isOwn({ id, name: called }: KnownClient, { name, memory }: OwnClient): boolean {
  if (memory.clientId !== null) return id === memory.clientId || id === memory.before;
  return isOwnName(called, name) && !isAnothers(id, memory);
}

/** Pure: those of other Nextclouds that may ask the same key server. */
export function othersAmong(clients: readonly KnownClient[], own: OwnClient): readonly KnownClient[] {
  return clients.filter((one) => (one.state === 'enrolled' || one.state === 'locked') && !isOwn(one, own));
}

/**
 * Pure: why a server is not believed that it is the client which it says, `null` where it is. Whoever owns the server writes there what
 * they like; what is done at home for its client would else be done for the client of another Nextcloud.
 */
export function doubtOf(said: string, { name, memory }: OwnClient, clients: readonly KnownClient[]): Doubt | null {
  if (said === memory.clientId || said === memory.before) return null;
  const audit = 'look whether somebody has changed the server: ncpatch audit';
  const doubt = (words: string, hint: string): Doubt => ({ code: 'client_differs', words, hint });
  if (memory.clientId !== null) {
    const words = `this Nextcloud says that it is the client ${said}, and was enrolled from here as ${memory.clientId}`;
    return doubt(words, `${audit}; if it was you who enrolled it anew: rm ${memory.file}`);
  }
  const other = memory.others.find((one) => isOf(one, said));
  if (other !== undefined) {
    const words = `this Nextcloud says that it is the client ${said}, which is another one's (${basename(other.folder)})`;
    return doubt(words, `name the server as it was named then, if it is the same one; else ${audit}`);
  }
  const known = clients.find(({ id }) => id === said);
  if (known === undefined || isOwnName(known.name, name)) return null;
  const words = `this Nextcloud says that it is the client ${said}, which is called ${known.name} at home, not ${name}`;
  return doubt(words, `if that is this Nextcloud: --client ${known.name}; else ${audit}`);
}

/** Throws what `doubtOf` says (exit 3). */
export function refuseDoubt(said: string, own: OwnClient, clients: readonly KnownClient[]): void {
  const doubt = doubtOf(said, own, clients);
  if (doubt !== null) throw new LatchkeyError(doubt.code, doubt.words, { exit: 3, hint: doubt.hint });
}
