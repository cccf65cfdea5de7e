import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { run } from '../../platform/run.ts';
import { findProgram, hasProgram } from '../harness/programs.ts';
import * as samples from './proxmox-samples.ts';

const PART = new URL('../../wireguard/installers/templates/parts/proxmox-facts.sh', import.meta.url).pathname;
const thorough = process.env.LATCHKEY_THOROUGH === '1';
const folder = mkdtempSync(join(tmpdir(), 'lk-proxmox-facts-'));

const shells = [['dash'], ['bash'], ['busybox', 'ash']].filter(([program = '']) => hasProgram(program));
/** An awk of each kind that is here, under the name that scripts know it by; busybox ash may take its own whatever is there. */
const awks = ['mawk', 'gawk', 'original-awk', 'busybox'].filter(hasProgram);

type Reader = 'version' | 'members' | 'corosync' | 'quorum';

interface Input {
  readonly reader: Reader;
  readonly text: string;
}

interface Answer {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

let batches = 0;

/** What the readers answer to each of these texts, all read by one shell. */
async function answers(inputs: readonly Input[], shell: readonly string[], awk: string): Promise<Answer[]> {
  const place = join(folder, `batch${batches++}`);
  mkdirSync(join(place, 'bin'), { recursive: true });
  symlinkSync(findProgram(awk) ?? awk, join(place, 'bin', 'awk'));
  inputs.forEach(({ reader, text }, at) => {
    writeFileSync(join(place, `${at}.${reader}`), text, 'latin1');
  });
  const script = `. '${PART}'
for file in *.version *.members *.corosync *.quorum; do
  [ -e "$file" ] || continue
  "proxmox_\${file#*.}" <"$file" >"\${file%%.*}-out" 2>"\${file%%.*}-err"
  echo $? >"\${file%%.*}-status"
done`;
  const [program = 'sh', ...options] = shell;
  const env = { PATH: `${join(place, 'bin')}:${process.env.PATH ?? ''}` };
  const before = readdirSync(place).length;
  const { stderr } = await run([program, ...options, '-c', script], { timeoutMs: 120_000, cwd: place, env });
  expect(stderr).toBe('');
  const told = (name: string): string => readFileSync(join(place, name), 'latin1');
  const made = inputs.map((_, at) => ({
    status: Number(told(`${at}-status`)),
    out: told(`${at}-out`),
    err: told(`${at}-err`),
  }));
  expect(readdirSync(place).length, 'files that nobody was to make').toBe(before + 3 * inputs.length);
  return made;
}

const everywhere = [
  ...awks.map((awk) => ({ shell: ['dash'], awk })),
  ...shells.filter(([name]) => name !== 'dash').map((shell) => ({ shell, awk: 'mawk' })),
].filter(({ shell, awk }) => hasProgram(shell[0] ?? '') && hasProgram(awk));

/** Expects each text to be answered so, by every shell and every awk; `null` is a refusal: status 1 and not a word. */
async function expectAnswers(cases: readonly (readonly [reader: Reader, text: string, out: string | null])[]) {
  const inputs = cases.map(([reader, text]) => ({ reader, text }));
  const wanted = cases.map(([, , out]) => ({ status: out === null ? 1 : 0, out: out ?? '', err: '' }));
  for (const { shell, awk } of everywhere) {
    const got = await answers(inputs, shell, awk);
    expect(
      got.map((one, at) => ({ text: cases[at]?.[1], ...one })),
      `${shell.join(' ')} with ${awk}`,
    ).toEqual(wanted.map((one, at) => ({ text: cases[at]?.[1], ...one })));
  }
}

const totem = 'totem {\n  cluster_name: demo\n  interface {\n    linknumber: 0\n  }\n  version: 2\n}\n';
const threeMembers = `kind cluster
name homelab
node pve1
quorum yes
member pve1 up 192.168.1.227
member pve2 up 192.168.1.163
member pve3 down -
`;

afterAll(() => rmSync(folder, { recursive: true }));

describe('proxmox_version', () => {
  test('reads every release, those before 8 with a dash', async () => {
    const older = 'pve-manager/7.4-17/513c62be (running kernel: 5.15.126-1-pve)';
    await expectAnswers([
      ...samples.versions.map(([version, text]) => ['version', `${text}\n`, `version ${version}\n`] as const),
      ['version', `${older}\n`, 'version 7.4-17\n'],
      ['version', `${older}\r\n`, 'version 7.4-17\n'],
      ['version', `perl: warning: Setting locale failed.\n${older}`, 'version 7.4-17\n'],
    ]);
  });

  test('refuses what is no version', async () => {
    const texts = [
      '',
      '\n',
      samples.verboseVersion,
      'bash: pveversion: command not found\n',
      'pve-manager/9/71482d (running kernel: 6)\n',
      'pve-manager/$(touch ran)/71482d\n',
      'pve-manager/9.1.6`touch ran`/71482d\n',
      `pve-manager/9.${'1'.repeat(40)}/71482d\n`,
      'pve-manager/9.1.6\0/71482d\n',
      `pve-manager/9.1.6/${'7'.repeat(70_000)}\n`,
    ];
    await expectAnswers(texts.map((text) => ['version', text, null]));
  });
});

describe('proxmox_members', () => {
  test('knows a cluster with every node of it, those that are down too', async () => {
    await expectAnswers([
      ['members', samples.membersOfThree, threeMembers],
      ['members', samples.membersOfThree.replaceAll('\n', '\r\n'), threeMembers],
      ['members', samples.membersOfThree.replaceAll('\n', ' '), threeMembers],
      ['members', samples.membersOfThree.replace('"quorate": 1', '"quorate": 0'), threeMembers.replace('yes', 'no')],
      ['members', samples.membersOfThree.replace(', "quorate": 1', ''), threeMembers.replace('yes', 'unknown')],
      [
        'members',
        samples.membersOfThree.replace('192.168.1.163', 'fd00::2').replace('192.168.1.227', '-oProxyCommand=x'),
        threeMembers.replace('192.168.1.163', 'fd00::2').replace('192.168.1.227', '-'),
      ],
    ]);
  });

  test('knows a node that stands alone, and a cluster of one', async () => {
    const one = `{"nodename":"a","version":2,"cluster":{"name":"Dream","version":1,"nodes":1,"quorate":1},
      "nodelist":{"a":{"id":1,"online":1,"ip":"10.0.0.1"}}}`;
    await expectAnswers([
      ['members', samples.membersStandalone, 'kind standalone\nnode pve1\n'],
      ['members', one, 'kind cluster\nname Dream\nnode a\nquorum yes\nmember a up 10.0.0.1\n'],
    ]);
  });

  test('refuses what the cluster file system does not write', async () => {
    const whole = samples.membersOfThree;
    const texts = [
      '',
      '{}',
      '[]',
      '{"nodename": "pve1"',
      `${whole}{`,
      whole.replace('"nodename": "pve1",', ''),
      whole.replace('"nodename": "pve1"', '"nodename": "pve9"'),
      whole.replace('"nodename": "pve1"', '"nodename": 1'),
      whole.replace('"nodename": "pve1"', '"nodename": "pve1", "nodename": "pve2"'),
      whole.replace('  "pve2": { "id": 2, "online": 1, "ip": "192.168.1.163"},\n', ''),
      whole.replace('"pve2"', '"pve1"'),
      whole.replace('"pve2"', '"-oProxyCommand=touch"'),
      whole.replace('"pve2"', '"$(touch ran)"'),
      whole.replace('"pve2"', '"pve2;touch ran"'),
      whole.replace('"pve2"', '"pve\\u0032"'),
      whole.replace('"pve2"', '""'),
      whole.replace('"pve2"', '"a..b"'),
      whole.replace('"pve2"', '"pve2."'),
      whole.replace('"pve2"', '"pve\0"'),
      whole.replace('"pve2"', '"pvé2"'),
      whole.replace('"pve2"', `"${'a'.repeat(64)}"`),
      whole.replace('"homelab"', '"home lab"'),
      whole.replace('"name": "homelab", ', ''),
      whole.replace('"name": "homelab", ', '').replace('{\n', '{\n"cluster\x1cname": "homelab",\n'),
      whole.replace(/"cluster".*\n/, ''),
      whole.replace(/"cluster": \{.*\}/, '"cluster": 1'),
      whole.replace(/"nodelist"[\s\S]*$/, '"nodelist": {}}'),
      whole.replace('{ "id": 3, "online": 0}', '3'),
      whole.replace('"id": 1,', '"id": [1],'),
      whole.replace('"id": 1,', '"id": {"a":{"b":{"c":{"d":1}}}},'),
      whole.replace('{\n', `{\n"more": "${'x'.repeat(9000)}",\n`),
      whole + ' \n'.repeat(40_000),
    ];
    await expectAnswers(texts.map((text) => ['members', text, null]));
  });

  test('refuses a file that ends early, wherever it does', async () => {
    const whole = samples.membersOfThree.trimEnd();
    const step = thorough ? 1 : 9;
    const cuts = Array.from({ length: Math.floor((whole.length - 1) / step) }, (_, at) =>
      whole.slice(0, at * step + 1),
    );
    const got = await answers(
      cuts.map((text) => ({ reader: 'members', text })),
      ['dash'],
      'mawk',
    );
    expect(got.filter(({ status, out }) => status !== 1 || out !== '')).toEqual([]);
  });
});

describe('proxmox_corosync', () => {
  const homelab = `kind cluster
name homelab
member pve12t unknown -
member pve13m unknown -
member pve13t unknown -
`;

  test('knows the nodes whatever their order, and takes no QDevice for one', async () => {
    const withDevice = samples.corosyncOfThree.replace(
      'quorum {\n',
      'quorum {\n  device {\n    model: net\n    net {\n      algorithm: ffsplit\n      host: 10.0.0.9\n      name: qnet\n    }\n    votes: 1\n  }\n',
    );
    await expectAnswers([
      ['corosync', samples.corosyncOfThree, homelab],
      ['corosync', samples.corosyncOfThree.replaceAll('\n', '\r\n'), homelab],
      ['corosync', `# of 2026\n${withDevice}`, homelab],
      [
        'corosync',
        `${samples.nodelistOfTheManual}\n${totem}`,
        'kind cluster\nname demo\nmember due unknown -\nmember tre unknown -\nmember uno unknown -\n',
      ],
    ]);
  });

  test('refuses what is no whole configuration of a cluster', async () => {
    const whole = samples.corosyncOfThree;
    const texts = [
      '',
      'totem {\n',
      whole.trimEnd().slice(0, -1),
      samples.nodelistOfTheManual,
      totem,
      whole.replace('    name: pve13m\n', ''),
      whole.replace('pve13m', 'pve12t'),
      whole.replace('name: pve13m', 'name: pve13m\n    name: pve14'),
      whole.replace('pve13m', '$(touch ran)'),
      whole.replace('pve13m', '-F/dev/null'),
      whole.replace('pve13m', "pve13m'"),
      whole.replace('pve13m', 'pve 13m'),
      whole.replace('pve13m', ''),
      whole.replace('homelab', '`touch ran`'),
      whole.replace('homelab', 'home\x1b[2Jlab'),
      whole.replace('homelab', 'homelab\n  cluster_name: other'),
      whole.replace('  cluster_name: homelab\n', ''),
      whole.replace('logging {', 'logging {\n}}'),
      `}\n${whole}`,
      `${whole}touch ran\n`,
      `${whole}${'#'.repeat(9000)}\n`,
      whole + '\n'.repeat(70_000),
    ];
    await expectAnswers(texts.map((text) => ['corosync', text, null]));
  });
});

describe('proxmox_quorum', () => {
  test('answers yes or no for every cluster, and unknown where it is told nothing', async () => {
    const [yes, no, unknown] = ['quorum yes\n', 'quorum no\n', 'quorum unknown\n'];
    await expectAnswers([
      ['quorum', samples.statusOfThree, yes],
      ['quorum', samples.statusOfTwo, yes],
      ['quorum', samples.statusOfTwo.replaceAll('\n', '\r\n'), yes],
      ['quorum', samples.statusWithQDevice, yes],
      ['quorum', samples.statusOfTheManual, yes],
      ['quorum', samples.statusWithoutQuorum, no],
      ['quorum', samples.nodesOfTheManual, unknown],
      ['quorum', samples.statusStandalone, unknown],
      ['quorum', samples.statusInGuest, unknown],
      ['quorum', '', unknown],
      ['quorum', 'Quorate:          Maybe\n', unknown],
      ['quorum', 'Quorate: Yes\nQuorate: No\n', unknown],
      ['quorum', `${samples.statusOfTwo}${'x'.repeat(70_000)}`, unknown],
    ]);
  });
});

describe('proxmox_facts', () => {
  interface Node {
    readonly members?: string;
    readonly corosync?: string;
    readonly copy?: string;
    readonly name?: string;
    readonly status?: string;
  }

  async function facts(node: Node): Promise<{ exit: number; out: string }> {
    const place = join(folder, `node${batches++}`);
    mkdirSync(join(place, 'pve'), { recursive: true });
    const files = [
      ['pve/.members', node.members],
      ['pve/corosync.conf', node.corosync],
      ['copy.conf', node.copy],
      ['status', node.status ?? samples.statusStandalone],
    ] as const;
    for (const [file, text] of files) if (text !== undefined) writeFileSync(join(place, file), text);
    const script = `. '${PART}'; proxmox_facts pve copy.conf "$1" cat status`;
    const argv = ['dash', '-c', script, 'dash', node.name ?? 'pve1.example.org'] as const;
    const result = await run(argv, { timeoutMs: 10_000, cwd: place, allowExit: 'any' });
    expect(result.stderr).toBe('');
    return { exit: result.exit, out: result.stdout.toString() };
  }

  const refused = { exit: 1, out: '' };
  const ofCorosync = (quorum: string): string => `kind cluster
name homelab
node pve13m
quorum ${quorum}
member pve12t unknown -
member pve13m unknown -
member pve13t unknown -
`;

  test('the members file goes before everything else, and asks nobody for the quorum it knows', async () => {
    const members = samples.membersOfThree;
    const corosync = samples.corosyncOfThree;
    expect(await facts({ members, corosync, status: samples.statusWithoutQuorum })).toEqual({
      exit: 0,
      out: threeMembers,
    });
  });

  test('pvecm is asked for a quorum that the members file does not tell', async () => {
    const members = samples.membersOfThree.replace(', "quorate": 1', '');
    expect((await facts({ members, status: samples.statusWithoutQuorum })).out).toBe(threeMembers.replace('yes', 'no'));
  });

  test('without it, or when it is broken or knows no cluster yet, corosync.conf tells the nodes and pvecm the quorum', async () => {
    const corosync = samples.corosyncOfThree;
    const alone = samples.membersStandalone.replace('pve1', 'pve13m');
    for (const members of [undefined, '', '\n', '{', alone]) {
      const told = { corosync, name: 'pve13m', ...(members === undefined ? {} : { members }) };
      expect(await facts({ ...told, status: samples.statusOfThree })).toEqual({ exit: 0, out: ofCorosync('yes') });
      expect(await facts(told)).toEqual({ exit: 0, out: ofCorosync('unknown') });
    }
  });

  test('a node whose cluster file system does not run is read from its own copy, and not taken for one that stands alone', async () => {
    const told = { copy: samples.corosyncOfThree, name: 'pve13m.lan', status: samples.statusWithoutQuorum };
    expect(await facts(told)).toEqual({ exit: 0, out: ofCorosync('no') });
  });

  test('without any of the files, the node stands alone', async () => {
    expect(await facts({ name: 'pve1.example.org' })).toEqual({ exit: 0, out: 'kind standalone\nnode pve1\n' });
    expect(await facts({ members: samples.membersStandalone, name: 'other' })).toEqual({
      exit: 0,
      out: 'kind standalone\nnode pve1\n',
    });
  });

  test.each<[string, Node]>([
    ['a members file that is broken, where there is no other', { members: '{' }],
    ['a corosync.conf that is broken', { corosync: 'totem {' }],
    ['a corosync.conf that does not have this node', { corosync: samples.corosyncOfThree, name: 'pve1' }],
    ['a node whose name can be no host’s', { name: '-oProxyCommand=x' }],
    ['a node whose name is several lines', { name: 'pve12t unknown -\nmember pve13m' }],
    ['a node without a name', { name: '' }],
  ])('refuses %s', async (_, node) => {
    expect(await facts(node)).toEqual(refused);
  });
});

describe('whatever becomes of a text', () => {
  const originals: readonly Input[] = [
    { reader: 'version', text: `${samples.versions[0][1]}\n` },
    { reader: 'members', text: samples.membersOfThree },
    { reader: 'members', text: samples.membersStandalone },
    { reader: 'corosync', text: samples.corosyncOfThree },
    { reader: 'corosync', text: `${samples.nodelistOfTheManual}${totem}` },
    { reader: 'quorum', text: samples.statusWithQDevice },
    { reader: 'quorum', text: samples.statusWithoutQuorum },
  ];
  const injected = fc.constantFrom(
    ...[
      '$(touch ran)',
      '`touch ran`',
      ';touch ran;',
      '|touch ran',
      "';touch ran;'",
      '";touch ran;"',
      '"); system("touch ran',
    ],
    ...[
      '\n',
      '\r',
      '\r\n',
      '\0',
      '"',
      "'",
      '\\',
      '\\n',
      '{',
      '}',
      ':',
      ',',
      '%s%n',
      '\x1b]0;x\x07',
      '\xff',
      ' ',
      '-',
      '..',
      '&',
    ],
  );
  type Change = (text: string) => string;
  const at = (text: string, share: number): number => Math.floor(share * text.length);
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  const change: fc.Arbitrary<Change> = fc.oneof(
    fc.tuple(share, fc.integer({ min: 1, max: 8 })).map(
      ([where, count]): Change =>
        (text) =>
          text.slice(0, at(text, where)) + text.slice(at(text, where) + count),
    ),
    share.map(
      (where): Change =>
        (text) =>
          text.slice(0, at(text, where)),
    ),
    fc.tuple(share, share).map(
      ([one, other]): Change =>
        (text) => {
          const lines = text.split('\n');
          const [a, b] = [Math.floor(one * (lines.length - 1)), Math.floor(other * (lines.length - 1))];
          [lines[a], lines[b]] = [lines[b] ?? '', lines[a] ?? ''];
          return lines.join('\n');
        },
    ),
    share.map(
      (where): Change =>
        (text) => {
          const lines = text.split('\n');
          lines.splice(Math.floor(where * lines.length), 0, lines[Math.floor(where * (lines.length - 1))] ?? '');
          return lines.join('\n');
        },
    ),
    fc.tuple(share, injected).map(
      ([where, what]): Change =>
        (text) =>
          text.slice(0, at(text, where)) + what + text.slice(at(text, where)),
    ),
    // into a name itself, where it matters most
    fc.tuple(fc.constantFrom('pve1', 'pve2', 'pve13m', 'homelab', 'demo', 'tre', '9.1.6', 'Yes'), injected).map(
      ([name, what]): Change =>
        (text) =>
          text.replace(name, (found) => found.slice(0, 2) + what + found.slice(2)),
    ),
  );
  const mutated = fc
    .tuple(fc.constantFrom(...originals), fc.array(change, { minLength: 1, maxLength: 3 }))
    .map(([{ reader, text }, changes]) => ({ reader, text: changes.reduce((one, next) => next(one), text) }));

  const HOST = '[A-Za-z0-9](?:[A-Za-z0-9.-]{0,61}[A-Za-z0-9])?';
  const member = `member ${HOST} (?:up|down|unknown) (?:-|[0-9A-Fa-f:.]{2,45})\n`;
  const shapes: Readonly<Record<Reader, RegExp>> = {
    version: /^version [0-9.]+(-[0-9]+)?\n$/,
    members: new RegExp(
      `^(kind standalone\nnode ${HOST}\n|kind cluster\nname ${HOST}\nnode ${HOST}\nquorum (yes|no|unknown)\n(${member})+)$`,
    ),
    corosync: new RegExp(`^kind cluster\nname ${HOST}\n(${member})+$`),
    quorum: /^quorum (yes|no|unknown)\n$/,
  };

  // those that a Debian has by itself
  const usual = everywhere.filter(({ awk }) => thorough || awk === 'mawk' || awk === 'busybox');
  test.each(usual.map(({ shell, awk }) => [shell.join(' '), awk, shell] as const))(
    'the answer is a refusal or names that stand in it, and nothing runs: %s with %s',
    async (_name, awk, shell) => {
      const size = thorough ? 1000 : 50;
      const batch = fc.array(mutated, { minLength: size, maxLength: size });
      const property = fc.asyncProperty(batch, async (inputs) => {
        const got = await answers(inputs, shell, awk);
        for (const [index, { status, out, err }] of got.entries()) {
          const { reader, text } = inputs[index] as Input;
          const shown = JSON.stringify({ reader, text, status, out, err });
          expect(err, shown).toBe('');
          if (status !== 0) {
            expect([status, out], shown).toEqual([1, '']);
            continue;
          }
          expect(out, shown).toMatch(shapes[reader]);
          for (const [, word = ''] of out.matchAll(/^(?:name|node|member|version) (\S+)/gm)) {
            expect(text, shown).toContain(word);
          }
        }
      });
      await fc.assert(property, { numRuns: 1, endOnFailure: true });
    },
    120_000,
  );
});
