import type { ItemName, Vault } from '../../platform/vault/vault.ts';

/** What closes the hub's secrets before they go into the database. A name is bound to each, so that none opens in another's place. */
export type Seal = Pick<Vault, 'seal' | 'open'>;

/** What is sealed; `account-totp`, `jwt-key` and `gateway` are by their row's name. */
export type SecretKind =
  | 'interface-key'
  | 'obfuscation'
  | 'preshared-key'
  | 'account-totp'
  | 'jwt-key'
  | 'gateway'
  | 'audit-key'
  | 'installer-key'
  | 'tls-key';

/** `id` is the interface's name, the peer's id or the row's name; there is nothing to name where the hub has one of a kind. */
export function secretName(kind: SecretKind, id: string): ItemName {
  return { kind, client: '', id, version: 1 };
}

export function sealText(seal: Seal, kind: SecretKind, id: string, text: string): Buffer {
  return seal.seal(secretName(kind, id), Buffer.from(text));
}

export function openText(seal: Seal, kind: SecretKind, id: string, box: Uint8Array): string {
  return seal.open(secretName(kind, id), box).toString('utf8');
}
