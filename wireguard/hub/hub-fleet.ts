import { setTimeout as sleep } from 'node:timers/promises';
import { appendAudit } from '../../platform/audit-chain.ts';
import { refuseUnknown } from '../data/hub-data.ts';
import { type HubInterface, listInterfaces } from '../store/hub-interface.ts';
import { HUB } from './actor.ts';
import type { Ring, RingAnswer } from './doorbell.ts';
import { FellowHubs } from './fellow-hubs.ts';
import { type FleetParts, makeWatch, takeDown } from './fleet-parts.ts';
import { HubElsewhere } from './hub-elsewhere.ts';
import type { HubWatch } from './hub-watch.ts';
import { type Keeper, keptElsewhere } from './interface-claims.ts';
import { type ServedInterface, ServedInterfaces } from './served-interfaces.ts';

const CLAIM_MS = 20_000;
const CLAIM_RETRY_MS = 250;
const STROLL_MS = 5_000;
/** Rounds in which an interface was free before a hub that stands by takes it: whoever only lost the line is back sooner. */
const FREE_ROUNDS = 2;

/**
 * The interfaces of a running hub, which may become more or fewer while it runs: what they are is in the store, and a ring at the
 * doorbell, or news of another hub, say that it is another thing now. Of several hubs on one database each keeps its own; the others'
 * are served here too, but not built.
 */
export class HubFleet {
  readonly #parts: FleetParts;
  readonly #interfaces: ServedInterfaces;
  /** In how many rounds an interface was found free that this hub waits for. */
  readonly #free = new Map<string, number>();
  #fellows: FellowHubs | null = null;
  #busy: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #isStarted = false;
  #isStopped = false;

  private constructor(parts: FleetParts) {
    this.#parts = parts;
    this.#interfaces = new ServedInterfaces((name) => this.#isOwn(name));
  }

  /**
   * Every interface of the store, none of them built yet. Throws `interface_unknown` (exit 2) when the config has a name that the
   * store does not have.
   */
  static async of(parts: FleetParts): Promise<HubFleet> {
    const fleet = new HubFleet(parts);
    const stored = await fleet.#stored();
    refuseUnknown(parts.config.interfaces, stored);
    if (parts.postgres !== null) {
      fleet.#fellows = await FellowHubs.open({
        ...{ address: parts.postgres, hub: parts.config.name, random: parts.random, onTrouble: parts.onTrouble },
        answer: (ring) => fleet.#hear(ring),
        onUp: () => void fleet.#inTurn(() => fleet.#compareAll()).catch(parts.onTrouble),
      });
    }
    for (const facts of stored) {
      if (fleet.#fellows === null && fleet.#isOwn(facts.name)) await fleet.#keep(facts);
      else fleet.#leave(facts);
    }
    return fleet;
  }

  /** Those that this hub keeps, by name; it changes with the interfaces. */
  get watches(): ReadonlyMap<string, HubWatch> {
    return this.#interfaces.kept;
  }

  /** Every interface of the store by name, those that this hub is to keep first. */
  get served(): ReadonlyMap<string, ServedInterface> {
    return this.#interfaces.all;
  }

  /** Addresses that the machine has once the hub's own interfaces are built. */
  get ownAddresses(): readonly string[] {
    const own = [...this.served].filter(([name]) => this.#isOwn(name));
    return own.flatMap(([, { hub }]) => hub.facts.addresses);
  }

  /**
   * Claims the hub's own interfaces and builds them all. Answers the names of those that could not be built yet. Throws
   * `interface_kept_elsewhere` (exit 3) when another hub keeps one, unless this one stands by.
   */
  start(): Promise<string[]> {
    return this.#inTurn(async () => {
      await this.#claimAll();
      this.#isStarted = true;
      const unbuilt: string[] = [];
      for (const [name, watch] of this.watches) if (!(await watch.start())) unbuilt.push(name);
      this.#rest();
      return unbuilt;
    });
  }

  /** Interfaces stay up, so that nobody is cut off. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#busy;
    for (const watch of this.watches.values()) await watch.stop();
    await this.#fellows?.close();
  }

  /**
   * Takes up what the store says of one interface: builds one that is new, takes away one that is gone, compares one that
   * is there. False when that could not be done yet, or when nobody knows the name.
   */
  async refresh(name: string): Promise<boolean> {
    return (await this.ring({ interface: name, publicKeys: [] })) === 'live';
  }

  /** Something in the store has changed, says a command at the doorbell: takes it up, or tells the hub whose interface it is. */
  async ring(ring: Ring): Promise<RingAnswer> {
    const isLive = await this.#hear(ring);
    if (isLive !== null) return isLive ? 'live' : 'later';
    return this.#tellFellows(ring);
  }

  /** Whether the interface shows it now; `null` when it is not this hub's. */
  async #hear({ interface: name, publicKeys }: Ring): Promise<boolean | null> {
    if (publicKeys.length > 0) return this.watches.get(name)?.hub.tell(publicKeys) ?? null;
    return this.#inTurn(() => this.#refresh(name));
  }

  async #refresh(name: string): Promise<boolean | null> {
    const watch = this.watches.get(name);
    const facts = await this.#factsOf(name);
    if (facts === null) return watch === undefined ? this.#forget(name) : this.#remove(name, watch);
    if (watch !== undefined) return watch.hub.refresh();
    const elsewhere = this.#interfaces.elsewhere.get(name);
    if (elsewhere === undefined) this.#leave(facts);
    else await elsewhere.look();
    // one that was free before is waited for by rounds
    if (elsewhere !== undefined || !this.#isStarted || !this.#isOwn(name)) return null;
    return (await this.#claim(name)) === null ? (await this.#keep(facts)).start() : null;
  }

  async #tellFellows(ring: Ring): Promise<RingAnswer> {
    return (await this.#fellows?.tell(ring)) ?? 'none';
  }

  #isOwn(name: string): boolean {
    return this.#parts.config.interfaces?.includes(name) ?? true;
  }

  /** `null` when this hub has it now, or who has it. Where there is one hub, it is that. */
  async #claim(name: string): Promise<Keeper | null> {
    return (await this.#fellows?.take(name)) ?? null;
  }

  async #claimAll(): Promise<void> {
    const { config, claimMs = CLAIM_MS, log } = this.#parts;
    const until = performance.now() + claimMs;
    for (const [name, { hub }] of [...this.#interfaces.elsewhere]) {
      if (!this.#isOwn(name)) continue;
      let keeper = await this.#claim(name);
      if (keeper !== null && !config.standBy) {
        log.warn({ interface: name, keeper: keeper.hub }, 'interface is kept by another hub, waiting for it to end');
      }
      while (keeper !== null && !config.standBy && performance.now() < until && !this.#isStopped) {
        await sleep(CLAIM_RETRY_MS);
        keeper = await this.#claim(name);
      }
      if (keeper === null) await this.#keep(hub.facts);
      else if (!config.standBy) throw keptElsewhere(name, keeper);
      else {
        log.warn({ interface: name, keeper: keeper.hub }, 'stands by for an interface');
        await takeDown(this.#parts, name); // of a life in which it was this hub's
      }
    }
  }

  /** The line to the database was lost, and with it every claim: whoever took one meanwhile has it. */
  async #compareAll(): Promise<void> {
    for (const [name, watch] of [...this.watches]) {
      const keeper = await this.#claim(name);
      if (keeper === null) await watch.tidy();
      else await this.#giveUp(name, watch, keeper);
    }
    await this.#lookElsewhere();
  }

  /** Another hub keeps it: two with one key would take the peers from each other. */
  async #giveUp(name: string, watch: HubWatch, keeper: Keeper): Promise<void> {
    this.#leave(watch.hub.facts);
    await watch.stop();
    await takeDown(this.#parts, name);
    this.#parts.log.error({ interface: name, keeper: keeper.hub }, 'interface was given up, another hub has taken it');
    await this.#record('interface_given_up', name);
  }

  #rest(): void {
    if (this.#fellows === null || this.#isStopped) return;
    this.#timer = setTimeout(() => {
      void this.#inTurn(() => this.#stroll())
        .catch((error: unknown) => {
          const { code: problem, message: reason } = error as { code?: string; message?: string };
          this.#parts.log.warn({ problem, reason }, 'interfaces of other hubs were not looked after');
        })
        .then(() => this.#rest());
    }, this.#parts.strollMs ?? STROLL_MS).unref();
  }

  /** Takes over what nobody keeps and this hub waits for; and what others do with theirs may not have been heard. */
  async #stroll(): Promise<void> {
    await this.#lookElsewhere();
    for (const [name, { hub }] of [...this.#interfaces.elsewhere]) {
      if (!this.#isOwn(name)) continue;
      const isFree = (await this.#fellows?.keeperOf(name)) === null;
      const rounds = isFree ? (this.#free.get(name) ?? 0) + 1 : 0;
      this.#free.set(name, rounds);
      if (rounds < FREE_ROUNDS || (await this.#claim(name)) !== null) continue;
      await (await this.#keep(hub.facts)).start();
      this.#parts.log.warn({ interface: name }, 'interface was taken over');
      await this.#record('interface_taken_over', name);
    }
  }

  /** Facts of interfaces that others keep, and which there are. */
  async #lookElsewhere(): Promise<void> {
    const stored = await this.#stored();
    for (const { name } of stored) if (!this.served.has(name)) await this.#refresh(name);
    for (const [name, one] of [...this.#interfaces.elsewhere]) {
      const facts = stored.find((other) => other.name === name);
      if (facts === undefined) this.#forget(name);
      else one.renew(facts);
    }
  }

  async #keep(facts: HubInterface): Promise<HubWatch> {
    const onFacts = (name: string): void => void this.#fellows?.spread(name).catch(this.#parts.onTrouble);
    const watch = await makeWatch(this.#parts, facts, onFacts);
    this.#free.delete(facts.name);
    this.#interfaces.put(watch);
    return watch;
  }

  /** Has it as one that another hub keeps. */
  #leave(facts: HubInterface): void {
    const { store, seal, now, random } = this.#parts;
    const { name } = facts;
    const elsewhere = new HubElsewhere(facts, {
      ...{ store, seal, now, random },
      tell: async (ring) => (await this.#tellFellows(ring)) === 'live',
      facts: () => this.#factsOf(name),
      isKept: async () => this.#fellows !== null && (await this.#fellows.keeperOf(name)) !== null,
    });
    this.#interfaces.put(elsewhere);
  }

  #forget(name: string): null {
    this.#interfaces.drop(name);
    return null;
  }

  async #remove(name: string, watch: HubWatch): Promise<boolean> {
    this.#interfaces.drop(name);
    await watch.stop();
    await this.#fellows?.giveBack(name);
    return takeDown(this.#parts, name);
  }

  async #record(event: string, name: string): Promise<void> {
    const { store, now, config } = this.#parts;
    const detail = { by: HUB.name, interface: name, hub: config.name };
    await store.transaction((tx) => appendAudit(tx, { time: now(), event, detail }));
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#busy.then(work);
    this.#busy = done.catch(() => undefined);
    return done;
  }

  #stored(): Promise<HubInterface[]> {
    return this.#parts.store.read((db) => listInterfaces(db, this.#parts.seal));
  }

  async #factsOf(name: string): Promise<HubInterface | null> {
    return (await this.#stored()).find((one) => one.name === name) ?? null;
  }
}
