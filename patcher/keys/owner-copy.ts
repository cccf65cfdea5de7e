import { argon2, createCipheriv, createDecipheriv } from 'node:crypto';
import { promisify } from 'node:util';
import * as z from 'zod';
import type { RandomBytes } from '../../platform/clock.ts';
import { decodeBase64 } from '../../platform/encoding.ts';
import { LatchkeyError } from '../../platform/errors.ts';
import { parseInput } from '../../platform/schema.ts';

/** Key id to the bytes Nextcloud stores under it. */
export type Keys = Readonly<Record<string, Buffer>>;

/** RFC 9106, section 4, second recommended choice, with one more pass: for machines of every size. */
const COST = { memory: 65_536, passes: 4, parallelism: 4 } as const;
/** A file may ask for more than we do, but not for what no machine has. */
const LIMIT = { memory: 4_194_304, passes: 64, parallelism: 64 } as const;
const MIN_PASSPHRASE = 12;
export const MAX_COPY_BYTES = 4_194_304;

const base64 = (bytes: number) =>
  z.string().refine((text) => decodeBase64(text, { max: bytes })?.length === bytes, `must be ${bytes} bytes in base64`);

const copySchema = z.strictObject({
  format: z.literal('latchkey-owner-copy'),
  version: z.literal(1),
  instanceId: z.string().min(1).max(64),
  clientId: z.string().max(128),
  made: z.string().max(40),
  kdf: z.strictObject({
    name: z.literal('argon2id'),
    salt: base64(16),
    memory: z.int().min(8192).max(LIMIT.memory),
    passes: z.int().min(1).max(LIMIT.passes),
    parallelism: z.int().min(1).max(LIMIT.parallelism),
  }),
  cipher: z.literal('aes-256-gcm'),
  nonce: base64(12),
  tag: base64(16),
  keyIds: z.array(z.string().max(128)).min(1).max(64),
  data: z.string().max(MAX_COPY_BYTES),
});

type Copy = z.infer<typeof copySchema>;
export type CopyHeader = Pick<Copy, 'instanceId' | 'clientId' | 'made' | 'keyIds'>;

/**
 * Seals the private keys for their owner: argon2id (RFC 9106) from the passphrase, AES-256-GCM with everything else
 * in the file as associated data. The result is JSON text. Throws `passphrase_too_short` (exit 2).
 */
export async function sealOwnerCopy(
  keys: Keys,
  about: { readonly instanceId: string; readonly clientId: string; readonly made: Date },
  passphrase: string,
  random: RandomBytes,
): Promise<string> {
  refuseShortPassphrase(passphrase);
  const header = {
    format: 'latchkey-owner-copy' as const,
    version: 1 as const,
    instanceId: about.instanceId,
    clientId: about.clientId,
    made: about.made.toISOString(),
    kdf: { name: 'argon2id' as const, salt: random(16).toString('base64'), ...COST },
    cipher: 'aes-256-gcm' as const,
    nonce: random(12).toString('base64'),
    keyIds: Object.keys(keys).sort(),
  };
  const plain = Object.fromEntries(header.keyIds.map((id) => [id, keys[id]?.toString('base64')]));
  const cipher = createCipheriv(
    'aes-256-gcm',
    await stretch(passphrase, header.kdf),
    Buffer.from(header.nonce, 'base64'),
  );
  cipher.setAAD(associated(header));
  const data = Buffer.concat([cipher.update(JSON.stringify(plain), 'utf8'), cipher.final()]);
  const copy: Copy = { ...header, tag: cipher.getAuthTag().toString('base64'), data: data.toString('base64') };
  return `${JSON.stringify(copy, null, 2)}\n`;
}

/** Throws `passphrase_too_short` (exit 2). */
export function refuseShortPassphrase(passphrase: string): void {
  if (passphrase.length >= MIN_PASSPHRASE) return;
  throw new LatchkeyError('passphrase_too_short', `the passphrase must have at least ${MIN_PASSPHRASE} characters`, {
    exit: 2,
  });
}

/** What the file says of itself without the passphrase; unproven until it is opened. Throws `copy_unreadable`. */
export function readCopyHeader(text: string): CopyHeader {
  const { instanceId, clientId, made, keyIds } = parseCopy(text);
  return { instanceId, clientId, made, keyIds };
}

/** Opens a copy. Throws `copy_unreadable` for a file of another form, `copy_not_opened` for a wrong passphrase or a changed file. */
export async function openOwnerCopy(
  text: string,
  passphrase: string,
): Promise<{ readonly header: CopyHeader; readonly keys: Keys }> {
  const copy = parseCopy(text);
  const { tag, data, ...header } = copy;
  const sealed = decodeBase64(data, { max: MAX_COPY_BYTES });
  if (sealed === null) throw unreadable();
  const decipher = createDecipheriv(
    'aes-256-gcm',
    await stretch(passphrase, copy.kdf),
    Buffer.from(copy.nonce, 'base64'),
  );
  decipher.setAAD(associated(header));
  decipher.setAuthTag(Buffer.from(tag, 'base64'));
  let plain: string;
  try {
    plain = Buffer.concat([decipher.update(sealed), decipher.final()]).toString('utf8');
  } catch (cause) {
    throw new LatchkeyError(
      'copy_not_opened',
      'the copy does not open: the passphrase is wrong or the file was changed',
      { cause },
    );
  }
  const entries = Object.entries(parseInput(z.record(z.string(), z.string()), JSON.parse(plain)));
  const keys = Object.fromEntries(
    entries.map(([id, value]) => {
      const bytes = decodeBase64(value, { max: MAX_COPY_BYTES });
      if (bytes === null || bytes.length === 0) throw unreadable();
      return [id, bytes];
    }),
  );
  return { header: readCopyHeader(text), keys };
}

function parseCopy(text: string): Copy {
  if (text.length > MAX_COPY_BYTES * 2) throw unreadable();
  try {
    return parseInput(copySchema, JSON.parse(text));
  } catch (cause) {
    throw unreadable(cause);
  }
}

function unreadable(cause?: unknown): LatchkeyError {
  return new LatchkeyError('copy_unreadable', "this is not an owner's copy, or it is damaged", { exit: 1, cause });
}

/** The order of members is fixed here, so that it does not depend on how a file was written. */
function associated(header: Omit<Copy, 'tag' | 'data'>): Buffer {
  const { format, version, instanceId, clientId, made, kdf, cipher, nonce, keyIds } = header;
  const { name, salt, memory, passes, parallelism } = kdf;
  return Buffer.from(
    JSON.stringify([
      format,
      version,
      instanceId,
      clientId,
      made,
      name,
      salt,
      memory,
      passes,
      parallelism,
      cipher,
      nonce,
      keyIds,
    ]),
  );
}

function stretch(passphrase: string, kdf: Copy['kdf']): Promise<Buffer> {
  return promisify(argon2)('argon2id', {
    message: Buffer.from(passphrase.normalize('NFC'), 'utf8'),
    nonce: Buffer.from(kdf.salt, 'base64'),
    parallelism: kdf.parallelism,
    tagLength: 32,
    memory: kdf.memory,
    passes: kdf.passes,
  });
}
