import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SHELLS } from '../../harness/installer-machine.ts';
import { hasProgram } from '../../harness/programs.ts';

const source = new URL('../../../wireguard/pair/templates/keep.sh', import.meta.url);
const PEER = 'HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=';
const DIALS = `[Interface]\nPrivateKey = secret\n[Peer]\nPublicKey = ${PEER}\nEndpoint = cloud.example.org:51820\n`;
const IS_DIALLED = `[Interface]\nPrivateKey = secret\n[Peer]\nPublicKey = ${PEER}\n`;
const isThorough = process.env.LATCHKEY_THOROUGH === '1';
const shells = Object.entries(SHELLS).filter(
  ([name, [program]]) => hasProgram(program) && (isThorough || name !== 'bash'),
);

/** What each program that it may call writes down, and what it answers. */
const RECORDED = '#!/bin/sh\necho "$(basename "$0") $*" >>"$HERE/calls"\n';

describe.each(shells)('the keeper of a tunnel, run by %s,', (_, shell) => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lk-keep-'));
    mkdirSync(join(folder, 'bin'));
    for (const name of ['rc-service', 'launchctl', 'wg-quick']) program(name, RECORDED);
    program('systemctl', `${RECORDED}[ "$1" != is-active ] || cat "$HERE/unit" 2>/dev/null\n`);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function program(name: string, text: string): void {
    writeFileSync(join(folder, 'bin', name), text);
    chmodSync(join(folder, 'bin', name), 0o755);
  }

  /** An interface that was heard so many seconds ago; `null` for none. */
  function heard(secondsAgo: number | null, from = '(none)'): void {
    const when = secondsAgo === null ? '' : `echo "${PEER}	$(($(date +%s) - ${secondsAgo}))"`;
    const known = `endpoints) echo "${PEER}	${from}" ;;`;
    const show = secondsAgo === null ? 'exit 1' : `case $3 in latest-handshakes) ${when} ;; ${known} esac; exit 0`;
    program('wg', `#!/bin/sh\nif [ "$1" = show ]; then ${show}; fi\necho "wg $*" >>"$HERE/calls"\n`);
  }

  function run(conf: string | null, start = 'systemd'): { exit: number | null; calls: string[]; stderr: string } {
    const path = join(folder, 'latchkey.conf');
    if (conf !== null) writeFileSync(path, conf);
    const head = `TUNNEL=latchkey\nCONF='${path}'\nSTART=${start}\nUNIT=the-unit\nPATH='${folder}/bin:/usr/bin:/bin'\n`;
    const [command, ...words] = shell;
    const { status, stderr } = spawnSync(command, [...words, '-s'], {
      input: head + readFileSync(source, 'utf8'),
      env: { HERE: folder, PATH: '/usr/bin:/bin' },
      encoding: 'utf8',
    });
    const calls = spawnSync('cat', [join(folder, 'calls')], { encoding: 'utf8' }).stdout.split('\n');
    return { exit: status, calls: calls.filter((line) => line !== '' && !line.includes('is-active')), stderr };
  }

  test('does nothing where the tunnel was taken away, or was heard lately', () => {
    heard(null);
    expect(run(null)).toEqual({ exit: 0, calls: [], stderr: '' });
    heard(140);
    expect(run(DIALS)).toEqual({ exit: 0, calls: [], stderr: '' });
  });

  test.each([
    ['systemd', ['systemctl restart the-unit']],
    ['openrc', ['rc-service the-unit zap', 'rc-service the-unit start']],
    ['none', [expect.stringMatching(/^wg-quick up .*latchkey\.conf$/)]],
    ['launchd', ['launchctl kickstart system/the-unit']],
  ])('starts one that is not there, by %s', (start, calls) => {
    heard(null);
    expect(run(DIALS, start)).toEqual({ exit: 0, calls, stderr: '' });
  });

  test('leaves one alone that is being started', () => {
    heard(null);
    for (const state of ['activating', 'deactivating']) {
      writeFileSync(join(folder, 'unit'), `${state}\n`);
      expect(run(DIALS)).toEqual({ exit: 0, calls: [], stderr: '' });
    }
    writeFileSync(join(folder, 'unit'), 'failed\n');
    expect(run(DIALS).calls).toEqual(['systemctl restart the-unit']);
  });

  test('looks the other end up anew when it was silent for long, as when the clock was set back', () => {
    const set = `wg set latchkey peer ${PEER} endpoint cloud.example.org:51820`;
    for (const seconds of [170, 1_000_000_000, -3600]) {
      heard(seconds);
      expect(run(DIALS)).toEqual({ exit: 0, calls: [set], stderr: '' });
      rmSync(join(folder, 'calls'));
    }
  });

  test('looks nothing up at the end that is dialled', () => {
    heard(100_000);
    expect(run(IS_DIALLED)).toEqual({ exit: 0, calls: [], stderr: '' });
    // but says again whom it has heard, from whatever address this machine has now
    heard(100_000, '198.51.100.10:51820');
    const set = `wg set latchkey peer ${PEER} endpoint 198.51.100.10:51820`;
    expect(run(IS_DIALLED)).toEqual({ exit: 0, calls: [set], stderr: '' });
  });
});
