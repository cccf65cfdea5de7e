import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { openOwnerCopy, readCopyHeader, sealOwnerCopy } from '../../patcher/keys/owner-copy.ts';

const KEYS = {
  'master_1.privateKey': Buffer.from('the bytes as nextcloud stores them'),
  'pubShare_1.privateKey': Buffer.alloc(9000, 7),
};
const ABOUT = { instanceId: 'oc1', clientId: 'client-1', made: new Date('2026-01-02T03:04:05Z') };
const PASSPHRASE = 'correct horse battery';

const sealed = await sealOwnerCopy(KEYS, ABOUT, PASSPHRASE, randomBytes);
const changed = (change: (copy: Record<string, unknown>) => void): string => {
  const copy = JSON.parse(sealed) as Record<string, unknown>;
  change(copy);
  return JSON.stringify(copy);
};

describe('openOwnerCopy()', () => {
  test('opens what sealOwnerCopy() sealed', async () => {
    const { header, keys } = await openOwnerCopy(sealed, PASSPHRASE);
    expect(keys).toEqual(KEYS);
    expect(header).toEqual({
      instanceId: 'oc1',
      clientId: 'client-1',
      made: '2026-01-02T03:04:05.000Z',
      keyIds: Object.keys(KEYS),
    });
  });

  test('takes a passphrase typed in another Unicode form', async () => {
    const copy = await sealOwnerCopy(KEYS, ABOUT, 'caf\u00e9 caf\u00e9 caf\u00e9', randomBytes);
    await expect(openOwnerCopy(copy, 'cafe\u0301 cafe\u0301 cafe\u0301')).resolves.toMatchObject({ keys: KEYS });
  });

  test('refuses a wrong passphrase', async () => {
    await expect(openOwnerCopy(sealed, 'correct horse batterY')).rejects.toMatchObject({ code: 'copy_not_opened' });
  });

  test.each<[string, (copy: Record<string, unknown>) => void]>([
    [
      'instance',
      (copy) => {
        copy.instanceId = 'oc2';
      },
    ],
    [
      'client',
      (copy) => {
        copy.clientId = 'other';
      },
    ],
    [
      'date',
      (copy) => {
        copy.made = '2020-01-01T00:00:00.000Z';
      },
    ],
    [
      'list of keys',
      (copy) => {
        copy.keyIds = ['master_1.privateKey'];
      },
    ],
    [
      'tag',
      (copy) => {
        copy.tag = Buffer.alloc(16).toString('base64');
      },
    ],
  ])('refuses a changed %s', async (_, change) => {
    await expect(openOwnerCopy(changed(change), PASSPHRASE)).rejects.toMatchObject({ code: 'copy_not_opened' });
  });

  test.each<[string, string]>([
    ['no JSON', '{'],
    [
      'an unknown field',
      changed((copy) => {
        copy.more = 1;
      }),
    ],
    [
      'another version',
      changed((copy) => {
        copy.version = 2;
      }),
    ],
    [
      'a short nonce',
      changed((copy) => {
        copy.nonce = 'AAAA';
      }),
    ],
    [
      'a cost no machine has',
      changed((copy) => {
        copy.kdf = { ...(copy.kdf as object), memory: 2 ** 31 };
      }),
    ],
  ])('refuses %s', async (_, text) => {
    await expect(openOwnerCopy(text, PASSPHRASE)).rejects.toMatchObject({ code: 'copy_unreadable' });
    expect(() => readCopyHeader(text)).toThrow(expect.objectContaining({ code: 'copy_unreadable' }));
  });
});

test('sealOwnerCopy() refuses a short passphrase', async () => {
  await expect(sealOwnerCopy(KEYS, ABOUT, 'elevenchars', randomBytes)).rejects.toMatchObject({
    code: 'passphrase_too_short',
    exit: 2,
  });
});

test('a copy holds no key in the clear', () => {
  for (const key of Object.values(KEYS)) {
    for (const form of ['utf8', 'base64', 'hex'] as const)
      expect(sealed).not.toContain(key.toString(form).slice(0, 24));
  }
});
