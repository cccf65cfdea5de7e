import type { Enrolment } from '../../facts.ts';
import type { KnownClient } from './key-server-commands.ts';
import { doubtOf, isAnothers, isOwn, numberOf, type OwnClient, refuseDoubt } from './own-client.ts';

/** What has to be done so that this Nextcloud is a client of the key server at home, and only one. */
export type ClientChoice =
  | { readonly kind: 'done'; readonly id: string }
  /** Enrolled, but its requests come from elsewhere from now on. */
  | { readonly kind: 'allow'; readonly id: string; readonly from: readonly string[] }
  | { readonly kind: 'add'; readonly name: string }
  /** It waits for a code, or its answer was lost on the way. */
  | { readonly kind: 'reset'; readonly id: string; readonly name: string }
  | { readonly kind: 'refuse'; readonly code: string; readonly words: string; readonly hint: string };

export interface ClientWish extends OwnClient {
  readonly urls: readonly string[];
  readonly from: readonly string[];
}

const refuse = (code: string, words: string, hint: string): ClientChoice => ({ kind: 'refuse', code, words, hint });

/** Pure: which of the key server's clients this Nextcloud is, or is to be. */
export function chooseClient(
  wish: ClientWish,
  enrolment: Enrolment | null,
  clients: readonly KnownClient[],
): ClientChoice {
  return enrolment === null ? chooseName(wish, clients) : chooseEnrolled(wish, enrolment, clients);
}

function chooseEnrolled(wish: ClientWish, enrolment: Enrolment, clients: readonly KnownClient[]): ClientChoice {
  const { clientId, urls, keys } = enrolment;
  const known = clients.find(({ id }) => id === clientId);
  if (known === undefined) {
    return refuse(
      'enrolled_elsewhere',
      `this Nextcloud is enrolled at ${urls.join(', ')}, and the key server at home does not know it`,
      'bring its keys back and take that enrolment away first: ncpatch restore, then ncpatch remove',
    );
  }
  const doubt = doubtOf(clientId, wish, clients);
  if (doubt !== null) return refuse(doubt.code, doubt.words, doubt.hint);
  if (known.state === 'revoked') {
    if (keys.length === 0) return newUnder(freeName(wish, clients), clients);
    const hint = 'bring them back from your own copy first: ncpatch restore --from-copy FILE';
    return refuse('client_revoked', `${known.name} was revoked at home, and has keys there that it still needs`, hint);
  }
  if (known.state === 'locked') return locked(known);
  if (known.state === 'new') return { kind: 'reset', id: known.id, name: known.name };
  if (!wish.urls.some((url) => urls.includes(url))) {
    const hint = `tell it of the other address: ncpatch servers ${wish.urls.map((url) => `--url ${url}`).join(' ')}`;
    return refuse(
      'enrolled_elsewhere',
      `this Nextcloud asks at ${urls.join(', ')}, not at ${wish.urls.join(', ')}`,
      hint,
    );
  }
  const more = wish.from.filter((network) => !known.from.includes(network));
  if (more.length > 0) return { kind: 'allow', id: known.id, from: [...known.from, ...more] };
  return { kind: 'done', id: known.id };
}

function chooseName(wish: ClientWish, clients: readonly KnownClient[]): ClientChoice {
  const { name, memory } = wish;
  const known = clients.find((one) => one.name === name);
  if (known === undefined || known.state === 'revoked' || (isNobodys(known) && !isAnothers(known.id, memory)))
    return newUnder(freeName(wish, clients), clients);
  if (known.state === 'locked') return locked(known);
  return refuse(
    'client_taken',
    `the key server at home has a client ${name} already, which this Nextcloud is not enrolled as`,
    `choose another name ("client"); or, when it was this very Nextcloud: keyserver client reset ${name}, and run this again`,
  );
}

function newUnder(name: string, clients: readonly KnownClient[]): ClientChoice {
  const waiting = clients.find((one) => one.name === name);
  return waiting === undefined ? { kind: 'add', name } : { kind: 'reset', id: waiting.id, name };
}

function locked({ name }: KnownClient): ClientChoice {
  const hint = `see keyserver audit tail; then keyserver client reset ${name}`;
  return refuse('client_locked', `the key server at home has locked ${name}`, hint);
}

/** It waits for its code, or was never heard after it had spent it: the answer was lost on the way. */
export function isNobodys({ state, killed, keys, releasedAt, heardAt, presentAt }: KnownClient): boolean {
  if (killed || keys.length > 0 || [releasedAt, heardAt, presentAt].some((time) => time !== null)) return false;
  return state === 'new' || state === 'enrolled';
}

/** A revoked client keeps its name: `cloud-2` comes after `cloud`. So does one that another Nextcloud was just invited as. */
function freeName({ name, memory }: OwnClient, clients: readonly KnownClient[]): string {
  const isFree = (candidate: string): boolean =>
    clients.every((one) => one.name !== candidate || (isNobodys(one) && !isAnothers(one.id, memory)));
  if (isFree(name)) return name;
  let number = 2;
  while (!isFree(`${name}-${number}`)) number += 1;
  return `${name}-${number}`;
}

/** `master_1` of `master_1.privateKey`, as either side may call it. */
const keyName = (id: string): string => id.replace(/\.privateKey$/, '');

/** Pure: what a client has at home that is not on this Nextcloud's disk: another Nextcloud's, or all that is left of it. */
export function keysElsewhere({ keys }: Pick<KnownClient, 'keys'>, onDisk: readonly string[]): readonly string[] {
  const here = new Set(onDisk.map(keyName));
  return keys.filter((key) => !here.has(keyName(key)));
}

/**
 * Pure: the client that a teardown revokes, `null` when there is none. Where Nextcloud has forgotten already which it was, it goes by
 * what is known here, else by name, and never one with keys that this Nextcloud does not have: what is revoked is not given a key again.
 * Throws `client_differs` (exit 3) where the server names one that is not its own.
 */
export function clientToRevoke(
  wish: OwnClient,
  enrolment: Enrolment | null,
  clients: readonly KnownClient[],
  onDisk: readonly string[],
): KnownClient | null {
  const { name, memory } = wish;
  const live = clients.filter(({ state }) => state !== 'revoked');
  if (enrolment !== null) {
    refuseDoubt(enrolment.clientId, wish, clients);
    return live.find(({ id }) => id === enrolment.clientId) ?? null;
  }
  const own = live
    .filter((one) => (memory.clientId === null ? isOwn(one, wish) : one.id === memory.clientId))
    .filter((one) => keysElsewhere(one, onDisk).length === 0);
  const byNumber = (a: KnownClient, b: KnownClient): number => numberOf(b.name, name) - numberOf(a.name, name);
  return own.find((one) => one.name === name) ?? own.sort(byNumber)[0] ?? null;
}
