/** Who changes something, for the audit log. */
export interface Actor {
  /** `account:ann`, `token:backend`, `jwt:shop/7`, `gateway:berlin`, `command` (at the hub's own terminal), `hub` (by itself). */
  readonly name: string;
  /** The address it asked from; `null` on the hub itself. */
  readonly source: string | null;
}

/** Somebody at the hub's own terminal. */
export const COMMAND: Actor = { name: 'command', source: null };

/** What the hub does by itself. */
export const HUB: Actor = { name: 'hub', source: null };
