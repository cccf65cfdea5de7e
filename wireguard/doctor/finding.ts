/** One thing that was looked at. */
export interface Finding {
  readonly check: string;
  /** The interface it is about; `null` for the hub itself. */
  readonly interface: string | null;
  /** `unknown` is what could not be looked at from here; `warn` and `fault` are to be seen to. */
  readonly verdict: 'ok' | 'unknown' | 'warn' | 'fault';
  readonly found: string;
  /** Why it matters. Given with `warn` and `fault`. */
  readonly why?: string;
  /** The command that sets it right, or what to do. */
  readonly fix?: string;
}

/** What has to be seen to. */
export function isTrouble({ verdict }: Finding): boolean {
  return verdict === 'warn' || verdict === 'fault';
}

/** Findings about one thing: the hub, or an interface of it. */
export interface Findings {
  ok(check: string, found: string): Finding;
  unknown(check: string, found: string, fix?: string): Finding;
  warn(check: string, found: string, why: string, fix: string): Finding;
  fault(check: string, found: string, why: string, fix: string): Finding;
}

export function findingsAbout(name: string | null): Findings {
  const bad =
    (verdict: 'warn' | 'fault') =>
    (check: string, found: string, why: string, fix: string): Finding => ({
      ...{ check, interface: name, verdict, found, why, fix },
    });
  return {
    ok: (check, found) => ({ check, interface: name, verdict: 'ok', found }),
    unknown: (check, found, fix) => ({ check, interface: name, verdict: 'unknown', found, ...(fix && { fix }) }),
    warn: bad('warn'),
    fault: bad('fault'),
  };
}

/** Some names of many, for a line. */
export function someOf(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}
