import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto';
import type { RandomBytes } from '../clock.ts';
import { LatchkeyError } from '../errors.ts';

const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

/** What a sealed item is; every part is bound to its ciphertext, so that none opens in another's place. */
export interface ItemName {
  /** `key`, `totp`, `ca-key:` and a serial, `tls-key`, `audit-key`; no `|`. */
  readonly kind: string;
  /** Client id, or '' for the server's own secrets. */
  readonly client: string;
  readonly id: string;
  readonly version: number;
}

/**
 * Seals and opens the server's secrets under one data key, AES-256-GCM (NIST SP 800-38D), a fresh random nonce each.
 * The data key lives in this object only: on disk it is wrapped under a key that an unseal method yields.
 */
export class Vault {
  readonly #dataKey: Buffer;
  /** The same, in the form that the ciphers take without looking at it anew each time. */
  readonly #key: KeyObject;
  readonly #random: RandomBytes;

  private constructor(dataKey: Buffer, random: RandomBytes) {
    this.#dataKey = dataKey;
    this.#key = createSecretKey(dataKey);
    this.#random = random;
  }

  /** A vault with a new data key. */
  static create(random: RandomBytes): Vault {
    return new Vault(random(keyBytes), random);
  }

  /** The vault whose data key `wrapped` holds; `null` when `kek` or `header` is not the one it was wrapped with. */
  static unwrap(wrapped: Uint8Array, kek: Uint8Array, header: string, random: RandomBytes): Vault | null {
    const dataKey = openBox(kek, wrapped, wrapLabel(header));
    return dataKey?.length === keyBytes ? new Vault(dataKey, random) : null;
  }

  /** The data key wrapped under `kek`; `header` (how the key is obtained again) is bound to it. */
  wrap(kek: Uint8Array, header: string): Buffer {
    return sealBox(kek, this.#dataKey, wrapLabel(header), this.#random(nonceBytes));
  }

  /** nonce ‖ ciphertext ‖ tag. */
  seal(name: ItemName, plaintext: Uint8Array): Buffer {
    return sealBox(this.#key, plaintext, itemLabel(name), this.#random(nonceBytes));
  }

  /** Throws `vault_damaged` when the box was altered, cut, sealed elsewhere or under another name. */
  open(name: ItemName, box: Uint8Array): Buffer {
    const plaintext = openBox(this.#key, box, itemLabel(name));
    if (plaintext !== null) return plaintext;
    throw new LatchkeyError('vault_damaged', `a sealed item of kind ${name.kind} does not open`, {
      hint: 'the database was altered or belongs to another vault.json; restore both from the same backup',
    });
  }
}

function wrapLabel(header: string): Buffer {
  return Buffer.from(`latchkey vault 1|${header}`);
}

function itemLabel(name: ItemName): Buffer {
  for (const part of [name.kind, name.client, name.id]) {
    if (part.includes('|')) throw new TypeError('an item name must not contain "|"');
  }
  return Buffer.from(`latchkey item 1|${name.kind}|${name.client}|${name.id}|${name.version}`);
}

/** nonce ‖ ciphertext ‖ tag; `label` is bound to it. */
export function sealBox(
  key: KeyObject | Uint8Array,
  plaintext: Uint8Array,
  label: Uint8Array,
  nonce: Uint8Array,
): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes }).setAAD(label);
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** What `sealBox` sealed; `null` for another key, label or box. */
export function openBox(key: KeyObject | Uint8Array, box: Uint8Array, label: Uint8Array): Buffer | null {
  if (box.length < nonceBytes + tagBytes) return null;
  const decipher = createDecipheriv('aes-256-gcm', key, box.subarray(0, nonceBytes), { authTagLength: tagBytes });
  decipher.setAAD(label).setAuthTag(box.subarray(box.length - tagBytes));
  const plaintext = decipher.update(box.subarray(nonceBytes, box.length - tagBytes));
  try {
    decipher.final(); // holds no more bytes in this mode; throws when the tag is wrong
    return plaintext;
  } catch {
    return null;
  }
}
