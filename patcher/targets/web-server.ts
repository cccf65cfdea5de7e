/** One host of a web server's configuration, as far as serving a Nextcloud goes. */
export interface WebHost {
  readonly server: 'apache' | 'nginx';
  readonly file: string;
  /** Folders it serves: document roots, aliases, `<Directory>` blocks. */
  readonly folders: readonly string[];
  /** Sockets and addresses it hands PHP to, without `unix:`. */
  readonly php: readonly string[];
  /** `NEXTCLOUD_CONFIG_DIR` that it sets for PHP. */
  readonly configDir: string | null;
}

/** Reads one Apache file into its hosts; what stands outside of `<VirtualHost>` is one host of its own. */
export function parseApache(file: string, text: string): WebHost[] {
  const outside = new Draft('apache', file);
  const hosts: Draft[] = [];
  let current = outside;
  const defined = new Map<string, string>();
  for (const raw of text.replaceAll(/\\\r?\n/g, ' ').split('\n')) {
    const line = raw.trim().replaceAll(/\$\{(\w+)\}/g, (all, name: string) => defined.get(name) ?? all);
    if (line === '' || line.startsWith('#')) continue;
    if (/^<VirtualHost\b/i.test(line)) {
      current = new Draft('apache', file);
      hosts.push(current);
    } else if (/^<\/VirtualHost>/i.test(line)) current = outside;
    const words = wordsOf(line.replace(/^<([^>]*)>$/, '$1'));
    const [name = '', first = '', second = ''] = words;
    const key = name.toLowerCase();
    if (key === 'define') defined.set(first, second);
    else if (key === 'documentroot' || key === 'directory') current.folder(first);
    else if (key === 'alias') current.folder(second);
    else if (key === 'setenv' && first === 'NEXTCLOUD_CONFIG_DIR') current.configDir = second;
    for (const match of line.matchAll(/(?:proxy:)?unix:([^|"'\s]+)\|fcgi:/g)) current.handler(match[1] ?? '');
    for (const match of line.matchAll(/(?<!\|)fcgi:\/\/([\w.[\]:-]+:\d+)/g)) current.handler(match[1] ?? '');
  }
  return [outside, ...hosts].filter((host) => !host.isEmpty()).map((host) => host.done());
}

/** Reads one nginx file into its `server` blocks, with the `upstream` names it defines put in. */
export function parseNginx(file: string, text: string): WebHost[] {
  const upstreams = new Map<string, string[]>();
  const hosts: Draft[] = [];
  const open: string[] = [];
  const outside = new Draft('nginx', file);
  let current = outside;
  for (const statement of statementsOf(text)) {
    if (statement === '}') {
      const closed = open.pop();
      if (closed === 'server') current = outside;
      continue;
    }
    const isBlock = statement.endsWith('{');
    const [name = '', ...values] = wordsOf(isBlock ? statement.slice(0, -1) : statement);
    const upstream = open.at(-1)?.startsWith('upstream ') === true ? (open.at(-1) ?? '').slice(9) : null;
    if (isBlock) {
      open.push(name === 'upstream' ? `upstream ${values[0] ?? ''}` : name);
      if (name === 'server') {
        current = new Draft('nginx', file);
        hosts.push(current);
      }
    } else if (upstream !== null && name === 'server') {
      upstreams.set(upstream, [...(upstreams.get(upstream) ?? []), values[0] ?? '']);
    } else if (name === 'root' || name === 'alias') current.folder(values[0] ?? '');
    else if (name === 'fastcgi_pass') current.handler(values[0] ?? '');
    else if (name === 'fastcgi_param' && values[0] === 'NEXTCLOUD_CONFIG_DIR') current.configDir = values[1] ?? null;
  }
  for (const host of hosts) host.resolve(upstreams);
  return [outside, ...hosts].filter((host) => !host.isEmpty()).map((host) => host.done());
}

/** nginx statements end with `;`, `{` or `}`; quotes and comments are respected. */
function statementsOf(text: string): string[] {
  const statements: string[] = [];
  let current = '';
  for (const [token] of text.matchAll(/#[^\n]*|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[;{}]|[^#"';{}]+/g)) {
    if (token.startsWith('#')) continue;
    if (token === '{') {
      statements.push(`${current.trim()} {`);
      current = '';
    } else if (token === '}') {
      statements.push('}');
      current = '';
    } else if (token === ';') {
      statements.push(current.trim());
      current = '';
    } else current += token;
  }
  return statements;
}

function wordsOf(line: string): string[] {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(\S+)/g)].map((m) => m[1] ?? m[2] ?? m[3] ?? '');
}

class Draft {
  readonly server: 'apache' | 'nginx';
  readonly file: string;
  readonly folders = new Set<string>();
  php = new Set<string>();
  configDir: string | null = null;

  constructor(server: 'apache' | 'nginx', file: string) {
    this.server = server;
    this.file = file;
  }

  folder(path: string): void {
    if (path.startsWith('/') && path !== '/') this.folders.add(path.replace(/\/+$/, ''));
  }

  handler(address: string): void {
    this.php.add(address.replace(/^unix:/, '').replace(/:$/, ''));
  }

  resolve(upstreams: ReadonlyMap<string, readonly string[]>): void {
    const addresses = [...this.php].flatMap((name) => upstreams.get(name) ?? [name]);
    this.php = new Set(addresses.map((address) => address.replace(/^unix:/, '')));
  }

  isEmpty(): boolean {
    return this.folders.size === 0 && this.php.size === 0 && this.configDir === null;
  }

  done(): WebHost {
    const { server, file, configDir } = this;
    return { server, file, folders: [...this.folders], php: [...this.php], configDir };
  }
}

/**
 * The host that serves `root`: the one with the deepest folder that is `root` or holds it, else one whose folder lies
 * below `root`; `null` when none does. Between equals one that also names a PHP handler wins.
 */
export function hostServing(root: string, hosts: readonly WebHost[]): WebHost | null {
  const ranked = hosts
    .map((host) => ({ host, depth: Math.max(0, ...host.folders.map((folder) => closeness(root, folder))) }))
    .filter(({ depth }) => depth > 0);
  ranked.sort((a, b) => b.depth - a.depth || b.host.php.length - a.host.php.length);
  return ranked[0]?.host ?? null;
}

function closeness(root: string, folder: string): number {
  if (root === folder) return 10_000;
  if (root.startsWith(`${folder}/`)) return folder.length;
  return folder.startsWith(`${root}/`) ? 5000 : 0;
}
