import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type AuditEntry,
  AuditVerifier,
  type CanonicalValue,
  canonicalJson,
  genesisHash,
  nextRecord,
  signHead,
} from '../../platform/audit-chain.ts';
import { sha256 } from '../../platform/encoding.ts';
import { isLatchkeyError } from '../../platform/errors.ts';

const keys = generateKeyPairSync('ed25519');

interface Row {
  seq: number;
  body: string;
  hash: Uint8Array;
}

function chainOf(count: number): Row[] {
  const rows: Row[] = [];
  for (let n = 1; n <= count; n++) {
    const head = rows.at(-1) ?? { seq: 0, hash: genesisHash };
    rows.push(nextRecord(head, { time: n, event: 'key_released', client: `lk-${n}`, keys: ['a', 'b'] }));
  }
  return rows;
}

function signatureAt(rows: readonly Row[], seq: number, key = keys.privateKey) {
  const row = rows[seq - 1];
  if (row === undefined) throw new RangeError('no such row');
  return { seq, hash: row.hash, time: 77, signature: signHead(row, 77, key) };
}

/** `ok`, or the number of the record the verifier names. */
function verdict(rows: readonly Row[], signatures: ReturnType<typeof signatureAt>[]): unknown {
  try {
    const verifier = new AuditVerifier(signatures, keys.publicKey);
    for (const row of rows) verifier.add(row);
    return verifier.finish().records === rows.length ? 'ok' : 'miscounted';
  } catch (error) {
    if (!isLatchkeyError(error, 'audit_broken')) throw error;
    return error.extra?.seq;
  }
}

describe('canonicalJson()', () => {
  test('sorts names, drops white space and leaves out what is not there', () => {
    const value = { b: [1, true, null], a: { d: 'x\n"', c: undefined } } as unknown as CanonicalValue;
    expect(canonicalJson(value)).toBe('{"a":{"d":"x\\n\\""},"b":[1,true,null]}');
  });

  test('spells each character as JSON does', () => {
    for (let unit = 0; unit < 0x1_0000; unit++) {
      const text = `a${String.fromCharCode(unit)}z`;
      if (canonicalJson(text) !== JSON.stringify(text)) expect.fail(`U+${unit.toString(16)} is spelled otherwise`);
    }
  });

  test('refuses numbers that have more than one spelling', () => {
    for (const number of [1.5, Number.NaN, 2 ** 53, -0]) expect(() => canonicalJson(number)).toThrow(TypeError);
  });

  test('has one spelling whatever the order of the names', () => {
    const text = fc.string({ unit: 'binary' });
    const tree = fc.dictionary(
      text,
      fc.oneof(
        text,
        fc.maxSafeInteger().map((n) => n + 0),
        fc.boolean(),
        fc.constant(null),
      ),
    );
    fc.assert(
      fc.property(tree, (value) => {
        const plain = Object.fromEntries(Object.entries(value).map(([name, v]) => [name, Object.is(v, -0) ? 0 : v]));
        const turned = Object.fromEntries(Object.entries(plain).reverse());
        expect(canonicalJson(turned)).toBe(canonicalJson(plain));
        expect(JSON.parse(canonicalJson(plain))).toEqual(plain);
      }),
    );
  });
});

describe('nextRecord()', () => {
  test('gives the vector of the protocol page', () => {
    const entry: AuditEntry = { time: 1_750_000_000_000, event: 'key_released', client: 'lk-1', keys: ['master_1'] };
    const record = nextRecord({ seq: 0, hash: genesisHash }, entry);
    expect(record.body).toBe(
      '{"client":"lk-1","event":"key_released","keys":["master_1"],"seq":1,"time":1750000000000}',
    );
    expect(record.hash.toString('hex')).toMatchInlineSnapshot(
      `"982e6b018292c6733fdc8c8085f184844310109ad176fd3a7715a0f0546878be"`,
    );
  });
});

describe('AuditVerifier', () => {
  const rows = chainOf(9);
  const first = signatureAt(rows, 1);
  const signatures = [first, signatureAt(rows, 3), signatureAt(rows, 7)];

  test('passes an untouched log and tells how far it is signed', () => {
    const verifier = new AuditVerifier(signatures, keys.publicKey);
    for (const row of rows) verifier.add(row);
    expect(verifier.finish()).toMatchObject({ records: 9, signatures: 3, signedTo: 7, signedAt: 77, head: { seq: 9 } });
  });

  test('names a record whose text was edited', () => {
    const edited = rows.map((row) => (row.seq === 5 ? { ...row, body: row.body.replace('lk-5', 'lk-6') } : row));
    expect(verdict(edited, signatures)).toBe(5);
  });

  test('names an edited record whose hash was made to fit', () => {
    const fitted = rows.map((row) => ({ ...row }));
    for (let index = 4; index < fitted.length; index++) {
      const entry = JSON.parse(fitted[index]?.body ?? '') as AuditEntry;
      const head = fitted[index - 1] ?? { seq: 0, hash: genesisHash };
      fitted[index] = nextRecord(head, index === 4 ? { ...entry, client: 'lk-forged' } : entry);
    }
    expect(verdict(fitted, [first])).toBe('ok'); // nobody vouched for it yet
    expect(verdict(fitted, signatures)).toBe(7);
  });

  test('names a record that was removed or moved', () => {
    expect(verdict([...rows.slice(0, 3), ...rows.slice(4)], signatures)).toBe(4);
    const swapped = [...rows];
    [swapped[1], swapped[2]] = [rows[2] as Row, rows[1] as Row];
    expect(verdict(swapped, signatures)).toBe(2);
    const renumbered = rows.filter(({ seq }) => seq !== 4).map((row, index) => ({ ...row, seq: index + 1 }));
    expect(verdict(renumbered, signatures)).toBe(4);
  });

  test('names the first record missing at the end, up to the last signature', () => {
    expect(verdict(rows.slice(0, 6), signatures)).toBe(7);
    expect(verdict([], signatures)).toBe(1);
    expect(verdict(rows.slice(0, 7), signatures)).toBe('ok');
  });

  test('refuses a log that was rewritten or emptied together with its signatures', () => {
    expect(verdict(rows, [])).toBe(1);
    expect(verdict([], [])).toBe(1);
    expect(verdict(chainOf(9).slice(0, 2), [])).toBe(1);
  });

  test('refuses a signature by another key, and one that was moved to another record', () => {
    const stranger = generateKeyPairSync('ed25519').privateKey;
    expect(verdict(rows, [signatureAt(rows, 3, stranger)])).toBe(3);
    expect(verdict(rows, [{ ...signatureAt(rows, 3), seq: 4 }])).toBe(4);
  });

  test('refuses a text that hashes right and is not canonical', () => {
    const body = '{"event": "a","seq":1,"time":1}';
    expect(verdict([{ seq: 1, body, hash: sha256(genesisHash, body) }], [])).toBe(1);
  });

  test('refuses a log that does not begin with record 1', () => {
    expect(verdict([nextRecord({ seq: 1, hash: genesisHash }, { time: 1, event: 'a' })], [])).toBe(1);
  });

  test('any change to any stored row is found', () => {
    fc.assert(
      fc.property(fc.nat({ max: 6 }), fc.nat(), fc.nat({ max: 255 }), (index, at, xor) => {
        const row = rows[index] as Row;
        const body = Buffer.from(row.body);
        const where = at % body.length;
        body[where] = (body[where] ?? 0) ^ (xor === 0 ? 1 : xor);
        const changed = rows.map((old) => (old === row ? { ...old, body: body.toString('latin1') } : old));
        expect(verdict(changed, signatures)).toBe(index + 1);
      }),
    );
  });
});
