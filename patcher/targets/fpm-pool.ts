/** One pool of PHP-FPM, as far as serving a Nextcloud goes. */
export interface FpmPool {
  /** The file it was read from. */
  readonly file: string;
  readonly name: string;
  readonly user: string | null;
  /** Socket path, `host:port` or a bare port, as written with `$pool` put in. */
  readonly listen: string | null;
  readonly env: Readonly<Record<string, string>>;
  /** `php_value`, `php_flag` and their `admin` forms; an admin form wins. */
  readonly ini: Readonly<Record<string, string>>;
}

/** Reads a pool file; what is no pool (the `[global]` section) is left out. Unknown lines are no error: FPM has many. */
export function parseFpmPools(file: string, text: string): FpmPool[] {
  const pools: Draft[] = [];
  let current: Draft | null = null;
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    if (line === '' || line.startsWith(';') || line.startsWith('#')) continue;
    const section = /^\[([^\]]+)\]$/.exec(line)?.[1];
    if (section !== undefined) {
      current =
        section === 'global' ? null : { name: section, user: null, listen: null, env: {}, ini: {}, fixed: new Set() };
      if (current !== null) pools.push(current);
      continue;
    }
    const setting = /^([a-z_.]+)(?:\[([^\]]+)\])?\s*=\s*(.*)$/.exec(line);
    if (current !== null && setting !== null) take(current, setting[1] ?? '', setting[2], unquote(setting[3] ?? ''));
  }
  return pools.map(({ name, user, listen, env, ini }) => ({ file, name, user, listen, env, ini }));
}

interface Draft {
  readonly name: string;
  user: string | null;
  listen: string | null;
  readonly env: Record<string, string>;
  readonly ini: Record<string, string>;
  /** Settings of an admin form, which a plain one no longer changes. */
  readonly fixed: Set<string>;
}

function take(pool: Draft, key: string, index: string | undefined, written: string): void {
  const value = written.replaceAll('$pool', pool.name);
  if (key === 'user') pool.user = value;
  else if (key === 'listen') pool.listen = value;
  else if (key === 'env' && index !== undefined) pool.env[index] = value;
  else if (/^php_(admin_)?(value|flag)$/.test(key) && index !== undefined) {
    const isAdmin = key.startsWith('php_admin_');
    if (isAdmin || !pool.fixed.has(index)) pool.ini[index] = value;
    if (isAdmin) pool.fixed.add(index);
  }
}

function unquote(value: string): string {
  const quoted = /^(["'])(.*)\1(?:\s*;.*)?$/.exec(value);
  return quoted?.[2] ?? value.replace(/\s+;.*$/, '').trim();
}

/** True when a web server that talks to `address` talks to this pool. */
export function listensOn(pool: FpmPool, address: string): boolean {
  if (pool.listen === null) return false;
  return normal(pool.listen) === normal(address);
}

/** `/run` and `/var/run` are one folder everywhere; a bare port means the loopback address. */
function normal(address: string): string {
  const path = address.replace(/^unix:/, '').replace(/^\/var\/run\//, '/run/');
  return path.replace(/^(?:localhost|\[::1\]|\[::\]|0\.0\.0\.0)?:?(\d{1,5})$/, '127.0.0.1:$1');
}
