import { describe, expect, test } from 'vitest';
import { QR_MOST_BYTES } from '../../platform/qr-code.ts';
import { readConfig } from '../../wireguard/config/read-config.ts';
import { assertHandout, handout, handoutWish } from '../../wireguard/hub/peer-handout.ts';
import { generateKeyPair, publicKeyOf } from '../../wireguard/keys.ts';
import type { Obfuscation } from '../../wireguard/obfuscation/parameters.ts';
import type { Peer } from '../../wireguard/store/peers.ts';
import { testInterface } from './hub-store.ts';

const wish = (facts: ReturnType<typeof testInterface>, isForQr = true, client?: string) =>
  handoutWish(client === undefined ? {} : { client }, isForQr, facts, '--client');
/** An interface whose configurations have `more` bytes in them that say nothing. */
const padded = (more: number) => {
  const obfuscation: Obfuscation = { Jc: 4, Jmin: 40, Jmax: 70, I1: `<b 0x${'ab'.repeat(more)}>` };
  return testInterface({ level: 'extreme', obfuscation });
};
const peer = { addresses: ['10.0.1.200/32', 'fd42:4242:1::c8/128'], keepalive: 65_535 } as unknown as Peer;
const made = { peer, privateKey: generateKeyPair().privateKey, presharedKey: generateKeyPair().privateKey, live: true };

describe('a configuration is refused before anything is made', () => {
  test('when its program does not know the obfuscation', () => {
    const facts = padded(10);
    expect(() => assertHandout(facts, wish(facts, false, 'wireguard'))).toThrow(
      expect.objectContaining({ code: 'client_unfit', exit: 3 }),
    );
    expect(() => wish(facts, false, 'openvpn')).toThrow(expect.objectContaining({ field: '--client', exit: 2 }));
  });

  test('when it is larger than a QR code, and only when a code is wanted', () => {
    const facts = padded(1500);
    expect(() => assertHandout(facts, wish(facts))).toThrow(
      expect.objectContaining({ code: 'qr_too_large', status: 409, exit: 3 }),
    );
    assertHandout(facts, wish(facts, false));
  });

  test('never after: whatever passes fits, whichever addresses and keys the peer gets', () => {
    let passed = 0;
    for (let more = 1150; more < 1400; more++) {
      const facts = padded(more);
      try {
        assertHandout(facts, wish(facts));
      } catch {
        continue;
      }
      passed++;
      expect(Buffer.byteLength(handout(facts, made, wish(facts)))).toBeLessThanOrEqual(QR_MOST_BYTES);
    }
    expect(passed).toBeGreaterThan(0);
    expect(passed).toBeLessThan(250);
  });
});

test('without a word of the program, the device gets what fits the interface', () => {
  const [plain, hidden] = [testInterface(), padded(10)];
  expect(wish(plain).program.name).toBe('wireguard');
  const config = readConfig(handout(hidden, made, wish(hidden)));
  expect(config.interface).toMatchObject({ obfuscation: hidden.obfuscation, privateKey: made.privateKey });
  expect(config.peers[0]).toMatchObject({ publicKey: publicKeyOf(hidden.privateKey), presharedKey: made.presharedKey });
});
