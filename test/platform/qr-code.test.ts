import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { QR_MOST_BYTES, qrDataUrl } from '../../platform/qr-code.ts';
import { readQrPng } from '../harness/qr-reader.ts';

const read = async (text: string): Promise<string> => readQrPng(await qrDataUrl(text));

test.each([
  ['one letter', 'a'],
  ['lines and signs', '[Interface]\nPrivateKey = aB3+/=\n'],
  ['letters of two and four bytes', 'Zoë’s 📱'],
  ['as much as a code holds', randomBytes(QR_MOST_BYTES).toString('base64').slice(0, QR_MOST_BYTES)],
])('a reader finds %s in the picture, to the byte', async (_, text) => {
  expect(await read(text)).toBe(text);
});

test('one byte more than a code holds is refused', async () => {
  await expect(qrDataUrl('x'.repeat(QR_MOST_BYTES + 1))).rejects.toThrow(TypeError);
  await expect(qrDataUrl('é'.repeat(QR_MOST_BYTES / 2 + 1))).rejects.toThrow(TypeError);
});
