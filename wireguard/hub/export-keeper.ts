import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../platform/log.ts';
import type { Store } from '../../platform/store.ts';
import { listInterfaces } from '../store/hub-interface.ts';
import type { HubDatabase } from '../store/schema.ts';
import type { Seal } from '../store/seal.ts';
import { wantedPeers } from '../store/wanted-peers.ts';
import { exportText, writeExport } from './export-file.ts';

export interface ExportKeeperParts {
  readonly store: Store<HubDatabase>;
  readonly seal: Seal;
  readonly log: Log;
  /** `exportFolder` of the hub's config; it has to be there. */
  readonly folder: string;
  /** The interfaces that this hub keeps; `null` for all of the store. */
  readonly only: readonly string[] | null;
}

/** Nothing is written more often than this. */
const EVERY_MS = 60_000;

/**
 * Keeps a file of each interface that is this hub's, for those who look there. It is written from the store and never read. Every change has a record
 * in the audit log, so that the last one's number tells whether there is anything to do.
 */
export class ExportKeeper {
  readonly #parts: ExportKeeperParts;
  readonly #written = new Set<string>();
  #seen: number | null = null;
  #timer: NodeJS.Timeout | null = null;
  #busy: Promise<void> = Promise.resolve();

  constructor(parts: ExportKeeperParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#next();
    this.#timer = setInterval(() => this.#next(), EVERY_MS).unref();
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#busy;
  }

  /** Writes what has changed since the last time. Answers how many files that were. What goes wrong is logged and tried again. */
  async keep(): Promise<number> {
    const { store, log } = this.#parts;
    try {
      const seq = await store.read(lastChange);
      if (seq === this.#seen) return 0;
      const [count, whole] = await this.#writeAll();
      if (whole) this.#seen = seq;
      return count;
    } catch (error) {
      const { code: problem, message: reason } = error as { code?: string; message?: string };
      log.error({ problem, reason }, 'interfaces were not exported');
      return 0;
    }
  }

  async #writeAll(): Promise<[count: number, whole: boolean]> {
    const { store, seal, folder, log, only } = this.#parts;
    const all = await store.read((db) => listInterfaces(db, seal));
    const interfaces = all.filter(({ name }) => only?.includes(name) ?? true);
    let count = 0;
    let whole = true;
    for (const facts of interfaces) {
      const { name } = facts;
      const peers = await store.read((db) => wantedPeers(db, name, seal));
      try {
        if (writeExport(pathOf(folder, name), exportText(facts, peers.values()))) count += 1;
        this.#written.add(name);
      } catch (error) {
        whole = false;
        const { code: problem, message: reason } = error as { code?: string; message?: string };
        log.error({ interface: name, problem, reason }, 'interface was not exported');
      }
    }
    for (const gone of [...this.#written].filter((name) => !interfaces.some((one) => one.name === name))) {
      rmSync(pathOf(folder, gone), { force: true });
      this.#written.delete(gone);
    }
    return [count, whole];
  }

  #next(): void {
    this.#busy = this.#busy.then(async () => {
      await this.keep();
    });
  }
}

function pathOf(folder: string, name: string): string {
  return join(folder, `${name}.conf`);
}

async function lastChange(db: Parameters<Parameters<Store<HubDatabase>['read']>[0]>[0]): Promise<number> {
  const row = await db
    .selectFrom('audit')
    .select((eb) => eb.fn.max('seq').as('seq'))
    .executeTakeFirst();
  return Number(row?.seq ?? 0);
}
