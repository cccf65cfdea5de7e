import type { Terminal } from './command-line.ts';
import { qrText } from './qr-code.ts';

/** A TOTP secret as authenticator apps take it (Key URI Format); `place` tells accounts of several servers apart. */
export function totpUri(name: string, place: string, secret: string): string {
  const label = encodeURIComponent(`Latchkey:${name}@${place}`);
  return `otpauth://totp/${label}?secret=${secret}&issuer=Latchkey&algorithm=SHA1&digits=6&period=30`;
}

/** The secret for people: as a picture of its address, as text, and as that address. */
export async function totpText(secret: string, uri: string, { stdout }: Pick<Terminal, 'stdout'>): Promise<string> {
  const picture = await qrText(uri, stdout.isTTY === true);
  return `${picture}\nsecret  ${secret}\nuri     ${uri}\n`;
}
