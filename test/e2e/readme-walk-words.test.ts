import { globSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseSetup } from '../../patcher/setup/setup-config.ts';
import { commandLines, mentions, pageText, partsOf, type Shown } from './readme-walk-pages.ts';
import { isProgram, optionsOf, PROGRAMS, type Program, programOf, refusalOf } from './readme-walk-programs.ts';
import { wordsOfCommands } from './readme-walk-shell.ts';

const root = resolve(import.meta.dirname, '../..');
const pages = globSync('**/*.md', { cwd: root, exclude: ['node_modules', '**/node_modules', 'dist'] })
  .filter((page) => !page.includes('node_modules/'))
  .sort();
const scripts = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> })
  .scripts;
const testFiles = globSync('test/**/*.test.ts', { cwd: root });
const ownOcc = globSync('php-app/lib/Command/*.php', { cwd: root }).flatMap((file) =>
  [...readFileSync(join(root, file), 'utf8').matchAll(/setName\('(remotekey:[a-z-]+)'\)/g)].map((match) => match[1]),
);

/** In whose page a command may stand without the program's name. */
const PROGRAM_OF_PAGE: Record<string, Program> = {
  'keyserver/README.md': 'keyserver',
  'patcher/README.md': 'ncpatch',
  'wireguard/README.md': 'wghub',
};

/** Words between backticks that look like a command and are none. */
const NO_COMMAND = ['ncpatch --inventory'];

/** What is wrong with one simple command of a page; `null` where nothing is, or where it is no program of ours. */
async function complaint(words: readonly string[], inSentence: boolean): Promise<string | null> {
  const [first, ...rest] = withoutBeginnings(words);
  if (first === 'npm') return npmComplaint(rest, inSentence);
  if (isProgram(first)) return programComplaint(first, rest, inSentence);
  const occ = words.indexOf('occ');
  const name = words[occ + 1];
  if (occ === -1 || name === undefined || !/^remotekey:[a-z-]+$/.test(name)) return null;
  return ownOcc.includes(name) ? null : `the app has no command ${name}`;
}

/** Without the hours of a crontab, variables and who it is run as. */
function withoutBeginnings(words: readonly string[]): readonly string[] {
  const beginning = /^(?:[A-Z_]+=.*|sudo|env|[-*/,0-9]+)$/;
  const at = words.findIndex((word) => !beginning.test(word));
  return at === -1 ? [] : words.slice(at);
}

async function npmComplaint(words: readonly string[], inSentence: boolean): Promise<string | null> {
  const [verb, ...rest] = words;
  const after = rest.includes('--') ? rest.slice(rest.indexOf('--') + 1) : [];
  const script = verb === 'run' ? rest.find((word) => !word.startsWith('-')) : verb;
  if (script === undefined || scripts[script] === undefined) return `package.json has no script "${script}"`;
  if (isProgram(script)) return programComplaint(script, after, inSentence);
  if (script !== 'test') return null;
  const lost = after.find((filter) => !testFiles.some((file) => file.includes(filter)));
  return lost === undefined ? null : `no test file matches ${lost}`;
}

async function programComplaint(name: Program, argv: readonly string[], inSentence: boolean): Promise<string | null> {
  if (argv.length === 0 && inSentence) return null; // the program itself is spoken of
  const words = argv.filter((word) => !(inSentence && word === '…'));
  return (await refusalOf(name, words, { inSentence }))?.message ?? null;
}

async function complaints(shown: readonly Shown[], inSentence: boolean): Promise<string[]> {
  const found: string[] = [];
  for (const { page, line, text } of shown) {
    if (NO_COMMAND.includes(text)) continue;
    for (const words of wordsOfCommands(text)) {
      const why = await complaint(words, inSentence);
      if (why !== null) found.push(`${page}:${line}: ${text}: ${why}`);
    }
  }
  return found;
}

/** Commands in sentences; in a program's own page also those that leave out its name. */
async function mentioned(page: string): Promise<readonly Shown[]> {
  const all = mentions(page, partsOf(pageText(page)).prose).flatMap(oneByOne);
  const own = PROGRAM_OF_PAGE[page];
  if (own === undefined) return all;
  const names = (await programOf(own)).commands.map((command) => command.name());
  return all.map((shown) =>
    / /.test(shown.text) && names.includes(shown.text.split(' ')[0] ?? '')
      ? { ...shown, text: `${own} ${shown.text}` }
      : shown,
  );
}

/** `client add\|show NAME` of a table as two commands; the brackets of what may be left out are taken off. */
function oneByOne(shown: Shown): readonly Shown[] {
  const [, before = '', choices = ''] = /^(\S+ )?(.*)$/.exec(shown.text.replaceAll(/[[\]]/g, '')) ?? [];
  return choices.split('\\|').map((choice) => ({ ...shown, text: before + choice }));
}

describe('a page that is wrong is noticed', () => {
  test.each<[string, string]>([
    ['ncpatch frobnicate --local', "unknown command 'frobnicate'"],
    ['ncpatch apply --local --force', "unknown option '--force'"],
    ['sudo wghub peer ad office --data hub', "unknown command 'ad'"],
    ['wghub peer list', "required option '--data <dir>' not specified"],
    ['(umask 077 && npm run -s keyserver -- client add --data d)', "missing required argument 'name'"],
    ['wgnode service print --listen 10.0.1.5:8000 extra >unit', 'too many arguments'],
    ['17 3 * * * cd /opt && npm run -s keyserver -- doctor --data x --ouch', "unknown option '--ouch'"],
    ['npm run packages', 'package.json has no script "packages"'],
    ['npm test -- test/keyservers', 'no test file matches test/keyservers'],
    ['sudo -u www-data php occ remotekey:unheard-of', 'the app has no command remotekey:unheard-of'],
  ])('%s', async (text, why) => {
    expect(await complaints([{ page: 'PAGE', line: 1, text }], false)).toEqual([expect.stringContaining(why)]);
  });

  test('a sentence may leave out what must follow, and nothing else', async () => {
    const of = (text: string): Promise<string[]> => complaints([{ page: 'PAGE', line: 1, text }], true);
    expect(await of('wghub peer list')).toEqual([]);
    expect(await of('wghub peer')).toEqual([]);
    expect(await of('keyserver')).toEqual([]);
    expect(await of('wghub peers')).toHaveLength(1);
    expect(await of('ncpatch audit --baselines x')).toHaveLength(1);
  });
});

test('commands are read as a shell would', () => {
  expect(wordsOfCommands(`a --b 'c d' "e $(f g)h" >out 2>&1 | sudo sh -c "x; y" && (umask 077; i) & # j`)).toEqual([
    ['a', '--b', 'c d', 'e $(f g)h'],
    ['sudo', 'sh', '-c', 'x; y'],
    ['umask', '077'],
    ['i'],
  ]);
});

test('blocks are told from text, and commands from what they print', () => {
  const text = ['one `two', 'three` four', '', '    $ cmd \\', '    more', '    printed', '', '```', 'other', '```'];
  const { blocks, prose } = partsOf([...text, 'end `five`'].join('\n'));
  expect(blocks.map((block) => commandLines('P', block))).toEqual([
    [{ page: 'P', line: 4, text: 'cmd more' }],
    [{ page: 'P', line: 9, text: 'other' }],
  ]);
  expect(mentions('P', prose)).toEqual([
    { page: 'P', line: 1, text: 'two three' },
    { page: 'P', line: 11, text: 'five' },
  ]);
});

test.each(pages)('%s: every command in its blocks is one that the program takes', async (page) => {
  const shown = partsOf(pageText(page)).blocks.flatMap((block) => commandLines(page, block));
  expect(await complaints(shown, false)).toEqual([]);
});

test.each(pages)('%s: every command in its sentences is there', async (page) => {
  expect(await complaints(await mentioned(page), true)).toEqual([]);
});

/** Options of what is none of the four programs, with the file that takes each. */
const OTHERS_OPTIONS: Record<string, string> = {
  '--once': 'keyserver/demo/main.ts',
  '--uncommitted': 'packaging/main.ts',
  '--node': 'packaging/install.sh',
  '--rollback': 'packaging/install.sh',
  '--uninstall': 'packaging/install.sh',
  '--purge': 'packaging/install.sh',
  '--tunnel': 'wireguard/installers/templates/parts/options.sh',
  '--cluster': 'wireguard/installers/templates/parts/proxmox-cluster.sh',
  '--confirm': 'wireguard/provision/templates/provision.sh',
  '--renew': 'php-app/lib/Command/Certificate.php',
  '--set': 'php-app/lib/Command/Servers.php',
  '--download': 'test/e2e/main.ts',
  '--hour': 'test/e2e/setup-main.ts',
  '--fault': 'test/endurance/main.ts',
  '--quick': 'test/bench/main.ts',
};
/** Of programs that are not of this project. */
const FOREIGN_OPTIONS = ['--device', '--exchange'];

test.each(Object.entries(OTHERS_OPTIONS))('%s is taken by %s', (option, file) => {
  const name = option.replace(/^--/, '');
  expect(readFileSync(join(root, file), 'utf8')).toMatch(new RegExp(`(?:--|addOption\\('|option\\(')${name}\\b`));
});

test.each(pages)('%s: every option in its sentences is one of a program', async (page) => {
  const known: (string | undefined)[] = [...Object.keys(OTHERS_OPTIONS), ...FOREIGN_OPTIONS];
  for (const name of PROGRAMS) known.push(...optionsOf(await programOf(name)).map(({ long }) => long));
  const strange = mentions(page, partsOf(pageText(page)).prose)
    .filter(({ text }) => text.startsWith('--'))
    .flatMap(({ line, text }) => [...text.matchAll(/--[a-z][a-z-]*/g)].map(([option]) => ({ line, option })))
    .filter(({ option }) => !known.includes(option));
  expect(strange).toEqual([]);
});

test('the configuration of a setup that its page shows is one', () => {
  const { blocks } = partsOf(pageText('patcher/README.md'));
  const shown = blocks.map(({ lines }) => lines.join('\n')).filter((text) => /^\{[\s\S]*"server"/.test(text));
  expect(shown).toHaveLength(1);
  const { escrow, server } = parseSetup(JSON.parse(shown[0] ?? ''), '/desk');
  expect([server.ssh, escrow.copy]).toEqual(['root@cloud.example', '/desk/cloud-keys.copy']);
});

test('the pages of the programs show many commands, so that nothing was passed over', async () => {
  const count = (page: string): number =>
    partsOf(pageText(page)).blocks.flatMap((block) =>
      commandLines(page, block).filter(({ text }) => /\b(?:ncpatch|keyserver|wghub|wgnode) /.test(text)),
    ).length;
  expect(count('README.md')).toBeGreaterThan(5);
  expect(count('keyserver/README.md')).toBeGreaterThan(20);
  expect(count('patcher/README.md')).toBeGreaterThan(20);
  expect(count('wireguard/README.md')).toBeGreaterThan(30);
});

/** As GitHub makes it: lower case, without marks, spaces to dashes. */
function anchorsOf(page: string): readonly string[] {
  return partsOf(pageText(page))
    .prose.filter((line) => /^#+ /.test(line))
    .map((line) =>
      line
        .replace(/^#+ /, '')
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    );
}

test.each(pages)('%s: every link within the project leads somewhere', (page) => {
  const dead = [
    ...partsOf(pageText(page))
      .prose.join('\n')
      .matchAll(/\]\(([^)\s]+)\)/g),
  ]
    .map((match) => match[1] ?? '')
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => {
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? page : join(dirname(page), path);
      if (globSync(file.replace(/\/$/, ''), { cwd: root }).length === 0) return true;
      return anchor !== undefined && !anchorsOf(file).includes(anchor);
    });
  expect(dead).toEqual([]);
});
