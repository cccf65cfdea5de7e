import type { Selectable } from 'kysely';
import { appendAudit } from '../../platform/audit-chain.ts';
import { type Credentials, Door, type DoorAnswer } from '../../platform/door.ts';
import { tellLockout } from '../alerts/lockout.ts';
import type { Custody } from '../custody.ts';
import type { AdminTable } from '../schema.ts';
import { adminTotpItem, findAdmin, useTotpStep } from './accounts.ts';

/** Tells administrators from others; see `Door`. It opens for nobody while the vault is sealed. */
export class AdminDoor {
  readonly #door: Door<Selectable<AdminTable>>;

  constructor(custody: Custody) {
    const { store, clock, random, denials } = custody;
    this.#door = new Door({
      clock,
      random,
      denials,
      refusal: 'admin_refused',
      isSealed: () => custody.vault() === null,
      find: (name) => store.read((tx) => findAdmin(tx, name)),
      secretOf: (admin) => custody.vault()?.open(adminTotpItem(admin.name), admin.totp_sealed) ?? null,
      useStep: (admin, step, now) => store.transaction((tx) => useTotpStep(tx, admin.name, step, now)),
      record: async (entry) => void (await store.transaction((tx) => appendAudit(tx, entry))),
      onLockout: (source, now) => tellLockout(custody, null, source, 'the admin pages', now),
    });
  }

  /** `purpose` stands in the audit log: `log in`, `approve`, … */
  check(given: Credentials, source: string, purpose: string): Promise<DoorAnswer<Selectable<AdminTable>>> {
    return this.#door.check(given, source, purpose);
  }
}
