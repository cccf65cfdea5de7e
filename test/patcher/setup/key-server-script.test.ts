import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { homeScript } from '../../../patcher/setup/key-server/home-script.ts';
import type { RunResult } from '../../../platform/run.ts';
import { addPrograms, busyboxRoot, cleanRootObstacle, inRoot, pathsIn } from '../../harness/clean-root.ts';

const script = homeScript();
const DATA = '/var/lib/latchkey/keys';
const KEYFILE = '/var/lib/latchkey/keys.keyfile';

/** A stand-in for a key server: it makes the files of one, as the account that it is run as. */
const PROGRAM = `#!/bin/sh
case $1 in
  --version) echo 1.0.0; exit 0 ;;
  init) ;;
  *) exit 2 ;;
esac
echo "$*" >>/tmp/said
while [ $# -gt 0 ]; do
  case $1 in
    --data) data=$2 ;;
    --keyfile) keyfile=$2 ;;
  esac
  shift
done
if [ -e /tmp/refuse ]; then echo 'keyserver: error: not here' >&2; exit 3; fi
umask 077
mkdir -p "$data"
[ -e "$keyfile" ] || head -c 32 /dev/zero >"$keyfile"
cat "$keyfile" >/dev/null || exit 1
echo '{}' >"$data/vault.json"
echo '{}' >"$data/config.json"
`;

/** Stand-ins for programs that not every busybox has; they take the words of Alpine's, and no other. */
const STAND_INS = {
  su: `#!/bin/sh
[ "$1 $2 $3" = '-s /bin/sh -c' ] || exit 9
command=$4 user=$5
shift 5
exec setpriv --reuid "$user" --regid "$user" --clear-groups sh -c "$command" "$@"
`,
  addgroup: '#!/bin/sh\n[ "$1 $#" = "-S 2" ] && echo "$2:x:600:" >>/etc/group\n',
  adduser: `#!/bin/sh
[ "$1 $2 $3 $4 $6 $8 \${10} $#" = '-S -D -H -h -s -g -G 12' ] && [ "\${11}" = "\${12}" ] || exit 9
echo "\${12}:x:600:600:$9:$5:$7" >>/etc/passwd
`,
  deluser: '#!/bin/sh\n[ $# = 1 ] && sed -i "/^$1:/d" /etc/passwd\n',
  delgroup: '#!/bin/sh\n[ $# = 1 ] && sed -i "/^$1:/d" /etc/group\n',
} as const;

/** What useradd leaves beside its lists is its own. */
const withoutLists = (paths: readonly string[]): string[] =>
  paths.filter((path) => !/^etc\/(passwd|group|g?shadow|\.pwd\.lock)-?$/.test(path));

describe.skipIf(cleanRootObstacle() !== null)('at-home.sh in the smallest system there is', () => {
  let root: string;
  let bare: readonly string[];
  const at = (path: string): string => join(root, path);

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'lk-at-home-'));
    await busyboxRoot(root, null);
    mkdirSync(at('sbin'), { recursive: true });
    writeFileSync(at('sbin/nologin'), '', { mode: 0o755 });
    writeFileSync(at('usr/local/bin/keyserver'), PROGRAM);
    chmodSync(at('usr/local/bin/keyserver'), 0o755);
    await addPrograms(root, ['setpriv']);
    for (const [name, text] of Object.entries(STAND_INS)) {
      writeFileSync(at(`usr/local/bin/${name}`), text);
      chmodSync(at(`usr/local/bin/${name}`), 0o755);
    }
    writeFileSync(at('tmp/at-home.sh'), script);
    bare = pathsIn(root);
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const run = (data: string, keyfile: string, ...words: string[]): Promise<RunResult> =>
    inRoot(root, ['sh', '/tmp/at-home.sh', 'linux', 'latchkey', data, keyfile, ...words]);
  const make = (data = DATA, keyfile = KEYFILE) =>
    run(data, keyfile, 'make', '127.0.0.1:8443', '127.0.0.1 localhost', '/usr/local/bin/keyserver');
  const made = ({ stdout }: RunResult): string[] =>
    [...stdout.toString('utf8').matchAll(/^made (.*)$/gm)].map(([, part]) => String(part));
  const owner = (path: string): number => statSync(at(path)).uid;

  it.each([
    ['useradd', 'Debian'],
    ['adduser', 'Alpine'],
  ])('makes an account by %s, as on %s, and takes back that one only', async (program) => {
    if (program === 'adduser') for (const one of ['useradd', 'userdel', 'groupdel']) rmSync(at(`usr/bin/${one}`));
    const accounts = () => readFileSync(at('etc/passwd'), 'utf8');
    const before = accounts();
    expect(made(await make())).toContain('account');
    expect(accounts()).toMatch(
      /^latchkey:[^:]*:[0-9]+:[0-9]+:Latchkey key server:\/var\/lib\/latchkey:\/sbin\/nologin$/m,
    );
    expect((await run(DATA, KEYFILE, 'remove', 'account')).exit).toBe(0);
    expect(accounts()).toBe(before);
    expect(readFileSync(at('etc/group'), 'utf8')).not.toContain('latchkey');

    writeFileSync(at('etc/passwd'), `${before}latchkey:x:700:700:mine:/home/me:/bin/sh\n`);
    expect((await run(DATA, KEYFILE, 'remove', 'account')).exit).toBe(0);
    expect(accounts()).toContain('latchkey:x:700');
  });

  it('does as root what the account may not, and each part is the account’s own then', async () => {
    const said = await make('/srv/deep/keys', '/etc/latchkey/key');
    expect(said.exit, said.stderr).toBe(0);
    expect(made(said)).toEqual([
      'account',
      'folder /etc/latchkey',
      'keyfile',
      'folder /srv',
      'folder /srv/deep',
      'data',
    ]);
    expect(statSync(at('etc/latchkey/key'))).toMatchObject({ size: 32, mode: 0o100600 });
    expect(readFileSync(at('etc/latchkey/key')).equals(Buffer.alloc(32))).toBe(false);
    expect(statSync(at('srv/deep/keys')).mode & 0o777).toBe(0o700);
    expect(new Set([owner('etc/latchkey/key'), owner('srv/deep/keys'), owner('srv/deep/keys/config.json')]).size).toBe(
      1,
    );
    expect([owner('srv/deep'), owner('srv/deep/keys')]).toEqual([0, expect.not.stringMatching(/^0$/)]);
    expect(readFileSync(at('tmp/said'), 'utf8')).toContain('--host 127.0.0.1 localhost --keyfile /etc/latchkey/key');
    expect(existsSync(at('srv/deep/keys.being-made'))).toBe(false);
  });

  it('does as the account what that may do, so that its folders lead root nowhere', async () => {
    await make();
    rmSync(at('var/lib/latchkey'), { recursive: true });
    await inRoot(root, ['sh', '-c', 'mkdir -m 700 /var/lib/latchkey && chown latchkey /var/lib/latchkey']);
    const said = await make();
    expect(made(said), said.stderr).toEqual(['keyfile', 'data']);
    expect(readFileSync(at('var/lib/latchkey/keys.keyfile')).equals(Buffer.alloc(32))).toBe(true); // by the program itself
    expect(await make()).toMatchObject({ exit: 0, stdout: Buffer.alloc(0) });
  });

  it('uses what is there, and what it has not made stays as it was', async () => {
    mkdirSync(at('var/lib/latchkey/keys'), { recursive: true });
    writeFileSync(at('var/lib/latchkey/keys/mine'), 'x');
    const said = await make();
    expect(said.exit).toBe(1);
    expect(said.stderr).toContain(`error: ${DATA} is there already, and no key server's`);
    expect(readFileSync(at('var/lib/latchkey/keys/mine'), 'utf8')).toBe('x');
    expect((await run(DATA, KEYFILE, 'remove', 'data')).exit).toBe(1);
    expect(readFileSync(at('var/lib/latchkey/keys/mine'), 'utf8')).toBe('x');
  });

  it('begins anew what lost its power, and leaves nothing of what was refused', async () => {
    writeFileSync(at('tmp/refuse'), '');
    const refused = await make();
    expect([refused.exit, made(refused)]).toEqual([3, ['account', 'folder /var/lib/latchkey', 'keyfile']]);
    expect(existsSync(at('var/lib/latchkey/keys.being-made'))).toBe(false);
    rmSync(at('tmp/refuse'));
    mkdirSync(at('var/lib/latchkey/keys.being-made'));
    writeFileSync(at('var/lib/latchkey/keys.being-made/vault.json'), 'half of one');
    expect((await make()).exit).toBe(0);
    expect(readFileSync(at('var/lib/latchkey/keys/vault.json'), 'utf8')).toBe('{}\n');
    for (const part of ['begun', 'data', 'keyfile', 'account'])
      expect((await run(DATA, KEYFILE, 'remove', part)).exit).toBe(0);
    await run(DATA, KEYFILE, 'remove', 'folder', '/var/lib/latchkey');
    expect(withoutLists(pathsIn(root))).toEqual(withoutLists(bare));
  });

  it('says that nothing starts programs at boot there, and starts none', async () => {
    const look = await run(DATA, KEYFILE, 'look', '127.0.0.1', '8443', '/usr/local/bin/keyserver');
    expect(look.stdout.toString('utf8')).toBe(
      [
        'account no',
        'accountOurs no',
        'data none',
        'keyfile no',
        'manager none',
        'enabled no',
        'active no',
        'taken no',
        'starts yes',
        'service no',
        '',
      ].join('\n'),
    );
    mkdirSync(at('etc/systemd/system'), { recursive: true });
    expect((await run(DATA, KEYFILE, 'serve', '[Service]')).exit).toBe(1);
  });
});
