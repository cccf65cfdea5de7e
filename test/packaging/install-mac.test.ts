import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installText } from '../../packaging/release-files.ts';
import { busyboxRoot, cleanRootObstacle, inRoot, pathsIn, placeNode } from '../harness/clean-root.ts';
import { hollowRelease, pinnedNode, project, tarballOf } from './release.ts';

const obstacle = cleanRootObstacle() ?? (existsSync(pinnedNode) ? null : 'the pinned Node is not here');

/**
 * Stand-ins for what macOS has in place of Linux' programs. dscl(1) keeps a file for each property; the account can be asked for by
 * id(1) once its last property is there, and the numbers 300 and 301 are taken.
 */
const STAND_INS = {
  uname: '#!/bin/sh\necho Darwin\n',
  shasum: '#!/bin/sh\n[ "$1 $2" = "-a 256" ] || exit 9\nshift 2\nexec busybox sha256sum "$@"\n',
  dscl: `#!/bin/sh
[ "$1" = . ] || exit 9
book=/tmp/directory$3
case $2 in
  -list) [ "$3" = /Users ] && printf 'one\\t\\t 300\\nten\\t\\t 3020\\n' || printf 'two\\t\\t 301\\n' ;;
  -read) [ -d "$book" ] || exit 56; [ -z "$4" ] || echo "$4: $(cat "$book/$4")" ;;
  -delete) rm -r "$book"; sed -i "/^\${3##*/}:/d" "/etc/$([ "\${3%/*}" = /Users ] && echo passwd || echo group)" ;;
  -create)
    mkdir -p "$book"
    [ -z "$4" ] || echo "$5" >"$book/$4"
    case $4 in
      IsHidden) echo "\${3##*/}:x:$(cat "$book/UniqueID"):$(cat "$book/PrimaryGroupID")::/:/x" >>/etc/passwd ;;
      PrimaryGroupID) [ "\${3%/*}" = /Users ] || echo "\${3##*/}:x:$5:" >>/etc/group ;;
    esac ;;
  *) exit 9 ;;
esac
`,
} as const;

describe.skipIf(obstacle !== null)('install.sh, with stand-ins for the programs of macOS', () => {
  let root: string;
  let bare: readonly string[];
  const at = (path: string): string => join(root, path);
  const install = (...words: readonly string[]) => inRoot(root, ['sh', '/tmp/install.sh', ...words]);

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'latchkey-mac-'));
    await busyboxRoot(root, null);
    for (const program of ['usr/bin/useradd', 'bin/sha256sum']) rmSync(at(program));
    mkdirSync(at('usr/local/sbin'));
    for (const [name, text] of Object.entries(STAND_INS))
      writeFileSync(at(`usr/local/sbin/${name}`), text, { mode: 0o755 });
    mkdirSync(at('var/db'));
    mkdirSync(at('opt/homebrew/bin'), { recursive: true });
    // where Homebrew has it on Apple silicon, which is not on root's PATH
    placeNode(pinnedNode, at('opt/homebrew/bin/node'));
    bare = pathsIn(root);
    writeFileSync(at('tmp/install.sh'), installText(project));
    for (const version of ['1.0.0', '1.0.1']) await tarballOf(hollowRelease(version), at('tmp'));
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  it('makes an account with a number that nobody has, and finds the Node of Homebrew', async () => {
    const { exit, stderr } = await install('/tmp/latchkey-1.0.0.tar.gz');
    expect(exit, stderr).toBe(0);
    expect(readlinkSync(at('opt/latchkey/1.0.0/node/bin/node'))).toBe('/opt/homebrew/bin/node');
    const told = (book: string, name: string): string =>
      readFileSync(at(`tmp/directory/${book}/latchkey/${name}`), 'utf8');
    expect([told('Groups', 'PrimaryGroupID'), told('Users', 'UniqueID'), told('Users', 'PrimaryGroupID')]).toEqual([
      '302\n',
      '302\n',
      '302\n',
    ]);
    expect([told('Users', 'NFSHomeDirectory'), told('Users', 'UserShell')]).toEqual([
      '/var/db/latchkey\n',
      '/usr/bin/false\n',
    ]);
    expect([lstatSync(at('var/db/latchkey')).uid, lstatSync(at('var/db/latchkey')).mode & 0o777]).toEqual([302, 0o700]);
  });

  it('refuses a Node of Homebrew by the folder that goes with its next upgrade, and names the link that stays', async () => {
    mkdirSync(at('usr/local/Cellar/node@24/24.0.0/bin'), { recursive: true });
    placeNode(pinnedNode, at('usr/local/Cellar/node@24/24.0.0/bin/node'));
    const before = pathsIn(root);
    const { exit, stderr } = await install(
      '/tmp/latchkey-1.0.1.tar.gz',
      '--node',
      '/usr/local/Cellar/node@24/24.0.0/bin/node',
    );
    expect([exit, stderr.includes('--node /usr/local/opt/node@24/bin/node')]).toEqual([3, true]);
    expect(pathsIn(root)).toEqual(before);
  });

  it('takes the Node of Homebrew that stays with its line before any other, on Intel too', async () => {
    mkdirSync(at('usr/local/opt'));
    symlinkSync('../Cellar/node@24/24.0.0', at('usr/local/opt/node@24'));
    const { exit, stderr } = await install('/tmp/latchkey-1.0.1.tar.gz');
    expect(exit, stderr).toBe(0);
    expect(readlinkSync(at('opt/latchkey/1.0.1/node/bin/node'))).toBe('/usr/local/opt/node@24/bin/node');
    for (const made of ['opt', 'Cellar']) rmSync(at(`usr/local/${made}`), { recursive: true });
  });

  it('refuses to go while launchd starts it, and leaves nothing when it goes', async () => {
    mkdirSync(at('Library/LaunchDaemons'), { recursive: true });
    writeFileSync(
      at('Library/LaunchDaemons/latchkey.keyserver.plist'),
      '<string>/opt/latchkey/current/node/bin/node</string>\n',
    );
    const refused = await install('--uninstall', '--purge');
    expect([refused.exit, refused.stderr.includes('LaunchDaemons/latchkey.keyserver.plist')]).toEqual([3, true]);
    expect(existsSync(at('opt/latchkey/current'))).toBe(true);
    rmSync(at('Library'), { recursive: true });
    expect((await install('--uninstall', '--purge')).exit).toBe(0);
    expect(pathsIn(root)).toEqual(bare);
    expect(existsSync(at('tmp/directory/Users/latchkey'))).toBe(false);
    expect(readFileSync(at('etc/passwd'), 'utf8')).toBe('root:x:0:0:root:/root:/bin/sh\n');
  });
});
