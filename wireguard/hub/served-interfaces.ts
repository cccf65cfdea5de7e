import { LatchkeyError } from '../../platform/errors.ts';
import type { HubElsewhere } from './hub-elsewhere.ts';
import type { HubWatch } from './hub-watch.ts';

/** An interface of the store, as a hub has it: kept by itself, or by another hub. */
export type ServedInterface = HubWatch | HubElsewhere;
/** Its facts and its peers, whoever keeps it. */
export type ServedHub = ServedInterface['hub'];

/** To whoever asks the wrong hub for what only the keeper of an interface knows. */
export function interfaceElsewhere(): LatchkeyError {
  return new LatchkeyError('interface_elsewhere', 'the interface is kept by another hub', {
    status: 421,
    field: 'interface',
    hint: 'ask the hub that keeps it, which is where its endpoint leads',
  });
}

/** Every interface of the store, and which of them this hub keeps. */
export class ServedInterfaces {
  readonly #isOwn: (name: string) => boolean;
  readonly #kept = new Map<string, HubWatch>();
  readonly #elsewhere = new Map<string, HubElsewhere>();
  readonly #all = new Map<string, ServedInterface>();

  /** `isOwn` tells which the hub is to keep, whether it does now or not. */
  constructor(isOwn: (name: string) => boolean) {
    this.#isOwn = isOwn;
  }

  get kept(): ReadonlyMap<string, HubWatch> {
    return this.#kept;
  }

  get elsewhere(): ReadonlyMap<string, HubElsewhere> {
    return this.#elsewhere;
  }

  /** By name, those that the hub is to keep first: a call that names none is for the first. One map that changes. */
  get all(): ReadonlyMap<string, ServedInterface> {
    return this.#all;
  }

  put(served: ServedInterface): void {
    const { name } = served.hub.facts;
    this.#kept.delete(name);
    this.#elsewhere.delete(name);
    if (served.isElsewhere) this.#elsewhere.set(name, served);
    else this.#kept.set(name, served);
    this.#arrange();
  }

  drop(name: string): void {
    this.#kept.delete(name);
    this.#elsewhere.delete(name);
    this.#arrange();
  }

  #arrange(): void {
    const all = [...this.#kept, ...this.#elsewhere].sort(([one], [other]) => {
      if (this.#isOwn(one) !== this.#isOwn(other)) return this.#isOwn(one) ? -1 : 1;
      return one < other ? -1 : 1;
    });
    this.#all.clear();
    for (const [name, served] of all) this.#all.set(name, served);
  }
}
