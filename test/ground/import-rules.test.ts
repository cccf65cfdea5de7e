import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const rooms = ['platform', 'wireguard', 'keyserver', 'patcher', 'packaging'] as const;
type Room = (typeof rooms)[number];

/** What each room may reach into; a list of files where the whole room would be too much. */
const mayImport: Record<Room, readonly (Room | `${Room}/${string}`)[]> = {
  platform: [],
  wireguard: ['platform'],
  keyserver: ['platform', 'wireguard/interface-address.ts'],
  patcher: ['platform', 'wireguard', 'keyserver/wire.ts'],
  packaging: ['platform', 'wireguard/hub/hub-unit.ts', 'keyserver/service.ts'],
};

/** A dangerous library stands behind these files alone. */
const wrappers: Record<string, readonly string[]> = {
  ssh2: [
    'patcher/transports/ssh-connection.ts',
    'patcher/transports/ssh-programs.ts',
    'patcher/transports/login-answers.ts',
  ],
  '@peculiar/x509': [
    'platform/certificates/certificate-parts.ts',
    'platform/certificates/self-signed.ts',
    'keyserver/certificates/issuing.ts',
  ],
  otplib: ['platform/totp.ts'],
  'node-forge': [
    'patcher/vendor/vendor-signature.ts',
    'patcher/vendor/vendor-revocations.ts',
    'keyserver/certificates/pkcs12.ts',
  ],
  pg: ['platform/postgres-connection.ts'],
  'node:sqlite': [
    'platform/sqlite.ts',
    'platform/sqlite-dialect.ts',
    'platform/sqlite-lock.ts',
    'platform/sqlite-snapshot.ts',
  ],
  'shamir-secret-sharing': ['platform/vault/shares.ts'],
  'age-encryption': ['platform/backup/age.ts'],
  'node:child_process': ['platform/run.ts', 'platform/launch.mjs'],
  express: ['platform/http-app.ts'],
  nodemailer: ['platform/alerts/email.ts'],
  pino: ['platform/log.ts'],
  qrcode: ['platform/qr-code.ts'],
  jose: ['wireguard/access/jwt.ts'],
};

/** Every import of a source text: static, `export … from`, and dynamic. */
function importsOf(text: string): string[] {
  const found = text.matchAll(/(?:from\s+|import\s*\(\s*|^import\s+)['"]([^'"]+)['"]/gm);
  return [...found].map((match) => match[1] ?? '');
}

const sources = rooms.flatMap((room) =>
  readdirSync(join(root, room), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|mjs)$/.test(name))
    .map((name) => `${room}/${name}`),
);
const imports = new Map(sources.map((file) => [file, importsOf(readFileSync(join(root, file), 'utf8'))]));

function localImports(file: string): string[] {
  const local = (imports.get(file) ?? []).filter((name) => name.startsWith('.'));
  return local.map((name) => relative(root, resolve(root, dirname(file), name)));
}

describe('the rooms', () => {
  it('are there and hold sources', () => {
    for (const room of rooms) expect(sources.filter((file) => file.startsWith(`${room}/`)).length).toBeGreaterThan(0);
  });

  it.each(rooms)('%s imports only what its room may know', (room) => {
    const forbidden = sources
      .filter((file) => file.startsWith(`${room}/`))
      .flatMap((file) => localImports(file).map((target) => ({ file, target })))
      .filter(({ target }) => !target.startsWith(`${room}/`))
      .filter(
        ({ target }) => !mayImport[room].some((allowed) => target === allowed || target.startsWith(`${allowed}/`)),
      );
    expect(forbidden).toEqual([]);
  });

  it('import every file by its whole name', () => {
    const known = new Set(sources);
    const dangling = sources.flatMap((file) =>
      localImports(file)
        .filter((target) => !known.has(target))
        .map((target) => `${file} -> ${target}`),
    );
    expect(dangling).toEqual([]);
  });

  it('have no circle between files', () => {
    const done = new Set<string>();
    const circles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' -> '));
      else if (!done.has(file)) {
        for (const target of localImports(file)) visit(target, [...path, file]);
        done.add(file);
      }
    };
    for (const file of sources) visit(file, []);
    expect(circles).toEqual([]);
  });

  it.each(Object.entries(wrappers))('reach %s only through its wrapper', (library, allowed) => {
    const users = sources.filter((file) =>
      imports.get(file)?.some((name) => name === library || name.startsWith(`${library}/`)),
    );
    expect(users.filter((file) => !allowed.includes(file))).toEqual([]);
    expect(users.length).toBeGreaterThan(0);
  });

  it('connect by ssh2 in the one file that checks host keys', () => {
    const connecting = sources.filter((file) => /\bnew (ssh2\.)?Client\(/.test(readFileSync(join(root, file), 'utf8')));
    expect(connecting.filter((file) => imports.get(file)?.includes('ssh2'))).toEqual([
      'patcher/transports/ssh-connection.ts',
    ]);
  });

  it('touch the process only in main files', () => {
    const touching = sources
      .filter((file) => !/(^|\/)main\.ts$|launch\.mjs$/.test(file))
      .filter((file) => /\bprocess\.(argv|exit|on|once)\b/.test(readFileSync(join(root, file), 'utf8')));
    expect(touching).toEqual([]);
  });
});

describe('importsOf()', () => {
  it('sees static, re-exporting, side-effect and dynamic imports', () => {
    const text = `import a from './a.ts';\nimport type { B } from "./b.ts";\nexport { c } from './c.ts';\nimport './d.ts';\nconst e = await import('./e.ts');\nimport {\n  f,\n} from './f.ts';\n`;
    expect(importsOf(text)).toEqual(['./a.ts', './b.ts', './c.ts', './d.ts', './e.ts', './f.ts']);
  });
});
