/** What closes the hub's secrets before they go into the database. A name is bound to each, so that none opens in another's place. */
export interface Seal {
  seal(name: SecretName, plaintext: Uint8Array): Buffer;
  /** Throws when the box was altered, or sealed under another key or name. */
  open(name: SecretName, box: Uint8Array): Buffer;
}

export interface SecretName {
  readonly kind: string;
  readonly client: string;
  readonly id: string;
  readonly version: number;
}

type Kind = 'interface-key' | 'obfuscation' | 'preshared-key';

/** `id` is the interface's name or the peer's id. */
function nameOf(kind: Kind, id: string): SecretName {
  return { kind, client: '', id, version: 1 };
}

export function sealText(seal: Seal, kind: Kind, id: string, text: string): Buffer {
  return seal.seal(nameOf(kind, id), Buffer.from(text));
}

export function openText(seal: Seal, kind: Kind, id: string, box: Uint8Array): string {
  return seal.open(nameOf(kind, id), box).toString('utf8');
}
